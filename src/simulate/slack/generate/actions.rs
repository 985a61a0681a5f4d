//! The made-up entries' actions: how often, on what, with which details.
//!
//! In the texts, `@` and a letter stand for something made up; see `write::fill`.

/// One action.
pub(super) struct Action {
    /// Its share among all of [`ACTIONS`].
    pub(super) weight: u64,
    pub(super) name: &'static str,
    pub(super) entity: &'static str,
    /// The details' JSON; empty for none.
    pub(super) details: &'static str,
}

impl Action {
    /// The group under which Slack lists it, told from its entity.
    pub(super) fn group(&self) -> &'static str {
        match self.entity {
            USER | SELF => "user",
            CHANNEL | PRIVATE => "channel",
            FILE => "file",
            APP => "app",
            _ => "workspace_or_org",
        }
    }
}

const fn action(weight: u64, name: &'static str, entity: &'static str, details: &'static str) -> Action {
    Action { weight, name, entity, details }
}

const USER: &str = r#"{"type":"user","user":@u}"#;
const SELF: &str = r#"{"type":"user","user":@s}"#;
const CHANNEL: &str = r#"{"type":"channel","channel":{"id":"@C","name":"@c","privacy":"public","is_shared":false,"is_org_shared":false,"teams_shared_with":[],"original_connected_channel_id":null,"is_salesforce_channel":false}}"#;
const PRIVATE: &str = r#"{"type":"channel","channel":{"id":"@C","name":"@c","privacy":"private","is_shared":true,"is_org_shared":false,"teams_shared_with":["@T","@T"]}}"#;
const FILE: &str = r#"{"type":"file","file":{"id":"@F","name":"@f","filetype":"@y","title":"@f"}}"#;
const APP: &str = r#"{"type":"app","app":@A}"#;
const WORKSPACE: &str = r#"{"type":"workspace","workspace":{"id":"@T","name":"@w","domain":"@d"}}"#;
const ENTERPRISE: &str = r#"{"type":"enterprise","enterprise":{"id":"@E","name":"Ünited Example\/Group","domain":"example-group"}}"#;
const MESSAGE: &str = r#"{"type":"message","message":{"team":"@T","channel":"@C","timestamp":"@t.@n"}}"#;
const WORKFLOW: &str = r#"{"type":"workflow","workflow":{"id":"Wf@i","name":"@c"}}"#;
const WORKFLOW_V2: &str = r#"{"type":"workflow_v2","workflow_v2":{"id":"Wf@i","app_id":"A@i","date_updated":@t,"callback_id":"cb_@n","name":"@c","updated_by":"@U","step_configuration":[],"trigger_channels":["@C"]}}"#;
const USERGROUP: &str = r#"{"type":"usergroup","usergroup":{"id":"S@i","name":"@c"}}"#;
const ROLE: &str = r#"{"type":"role","role":{"id":"Rl0@n","name":"Channel Admin","type":"0"}}"#;
const ACCOUNT_TYPE_ROLE: &str =
    r#"{"type":"account_type_role","account_type_role":{"id":1006,"name":"WORKSPACE_ADMIN"}}"#;
const HUDDLE: &str =
    r#"{"type":"huddle","huddle":{"id":"R@i","date_start":@o,"date_end":@t,"participants":["@U","@U"]}}"#;
const BARRIER: &str = r#"{"type":"barrier","barrier":{"id":"B@i","primary_usergroup":"S@i","barriered_from_usergroups":["S@i"],"restricted_subjects":["im","mpim"]}}"#;
const LEGAL_HOLD: &str = r#"{"type":"legal_hold_policy","legal_hold_policy":{"id":"H@i","name":"@c"}}"#;
const LIST: &str = r#"{"type":"list","list":{"id":"F@i"}}"#;
const NEW: &str = r#"{"type":"holo_board","holo_board":{"id":"Hb@i","title":"@c","depth":3}}"#;

const JOINED: &str = r#"{"type":"JOINED","is_workflow":false,"inviter":@u}"#;
const URL: &str = r#"{"url_private":"https:\/\/files.slack.com\/files-pri\/@T-@F\/download"}"#;
const SCOPES: &str = r#"{"new_scopes":["channels:read","chat:write","users:read"],"previous_scopes":["channels:read"],"bot_scopes":["chat:write"],"granular_bot_token":true,"is_internal_integration":false,"is_token_rotation_enabled_app":false}"#;
const INSTALLED: &str = r#"{"is_internal_integration":false,"app_owner_id":"@U","bot_scopes":["chat:write","commands"],"is_token_rotation_enabled_app":false}"#;
const RESOLVED: &str = r#"{"resolution":"APPROVED","app_previously_resolved":false,"admin_app_id":"A@i","approver_id":"@U","approval_type":"standard"}"#;
const PREFERENCE: &str = r#"{"new_value":["ADMINS","OWNERS"],"previous_value":"EVERYONE"}"#;
const EXPORT: &str = r#"{"export_type":"STANDARD","export_start_ts":"@o","export_end_ts":"@t"}"#;
const ANOMALY: &str = r#"{"action_timestamp":@m,"location":"Zürich, CH","previous_ip_address":"@p","previous_ua":"@z","reason":["asn","ip_address"],"ip_address_details":["new-asn","cloud-asn"],"client_ja3_fingerprint":"@h"}"#;
const TOR: &str = r#"{"action_timestamp":@m,"location":"","previous_ip_address":"","previous_ua":"","reason":["tor","session_fingerprint"]}"#;
const INVITE: &str = r#"{"origin_team":"@T","target_team":"@T","is_external_limited":false}"#;

/// The actions, roughly as often as a large organization sees them.
pub(super) const ACTIONS: [Action; 64] = [
    action(
        120,
        "user_login",
        SELF,
        r#"{"authentication_method":"saml","secondary_authentication_method":"webauthn","idp_config_id":"Ei@i"}"#,
    ),
    action(14, "user_login_failed", SELF, ""),
    action(40, "user_logout", SELF, ""),
    action(10, "user_session_invalidated", SELF, ""),
    action(
        2,
        "user_session_reset_by_admin",
        USER,
        r#"{"mobile_only":false,"web_only":false,"non_sso_only":true}"#,
    ),
    action(
        1,
        "bulk_session_reset_by_admin",
        ENTERPRISE,
        r#"{"succeeded_users":"[\"@U\",\"@U\"]","failed_users":[]}"#,
    ),
    action(6, "user_created", USER, ""),
    action(4, "user_deactivated", USER, ""),
    action(2, "user_reactivated", USER, ""),
    action(3, "guest_created", USER, r#"{"type":"GUEST","inviter":{"type":"user","user":@u}}"#),
    action(2, "guest_expiration_set", USER, r#"{"expires_on":@t}"#),
    action(5, "user_email_updated", USER, ""),
    action(
        8,
        "user_profile_updated",
        USER,
        r#"{"previous_profile":{"real_name":"@r","title":""},"new_profile":{"real_name":"@r","title":"R&D \u003cLead\u003e"}}"#,
    ),
    action(2, "role_change_to_admin", USER, ""),
    action(2, "role_change_to_owner", USER, ""),
    action(2, "role_change_to_user", USER, ""),
    action(2, "role_assigned", ROLE, r#"{"target_user":"@U","target_entity":"@E"}"#),
    action(
        1,
        "permissions_assigned",
        ACCOUNT_TYPE_ROLE,
        r#"{"changed_permissions":["ARCHIVE_CHANNEL"],"is_allowed":"ALLOWED","target_entity_id":"@E"}"#,
    ),
    action(140, "file_downloaded", FILE, URL),
    action(60, "file_uploaded", FILE, ""),
    action(
        40,
        "file_shared",
        FILE,
        r#"{"url_private":"https:\/\/files.slack.com\/files-pri\/@T-@F\/x","shared_with":{"channel_id":"@C","access_level":"OWNER"},"is_ext_shared":false,"teams_shared_with":[],"md5_hash":"@h"}"#,
    ),
    action(2, "file_download_blocked", FILE, URL),
    action(5, "file_public_link_created", FILE, ""),
    action(1, "file_malicious_content_detected", FILE, r#"{"md5_hash":"@h"}"#),
    action(
        6,
        "canvas_access_level_updated",
        FILE,
        r#"{"access_level":"read","entity_type":"USER","user":"@U","is_external_user":false}"#,
    ),
    action(90, "user_channel_join", CHANNEL, JOINED),
    action(50, "user_channel_leave", CHANNEL, r#"{"type":"LEFT","kicker":@u}"#),
    action(10, "guest_channel_join", PRIVATE, JOINED),
    action(12, "public_channel_created", CHANNEL, ""),
    action(10, "private_channel_created", PRIVATE, ""),
    action(6, "public_channel_archive", CHANNEL, ""),
    action(2, "public_channel_deleted", CHANNEL, r#"{"initiated_by":"admin.conversations.bulkDelete"}"#),
    action(2, "private_channel_converted_to_public", PRIVATE, ""),
    action(
        5,
        "channel_posting_permissions_updated",
        CHANNEL,
        r#"{"who_can_post":{"type":["ra"],"user":["@U"]},"can_thread":{"type":["ra"],"user":[]},"enable_at_here":{"enabled":true},"can_huddle":{"enabled":true}}"#,
    ),
    action(
        2,
        "channel_retention_changed",
        CHANNEL,
        r#"{"old_retention_policy":{"type":"RETAIN_ALL","duration_days":null},"new_retention_policy":{"type":"EXPIRE_ALL","duration_days":90}}"#,
    ),
    action(3, "channel_workspaces_updated", CHANNEL, r#"{"shared_to":["@T","@T"]}"#),
    action(3, "external_shared_channel_connected", PRIVATE, INVITE),
    action(3, "external_shared_channel_invite_sent", PRIVATE, INVITE),
    action(
        1,
        "connect_dm_invite_accepted",
        ENTERPRISE,
        r#"{"invite_id":"I@i","external_organization_id":"@E","external_organization_name":"Société \"Exemple\"","external_user_id":"@U","external_user_email":"someone@example.net","channel_id":"@C"}"#,
    ),
    action(12, "app_installed", APP, INSTALLED),
    action(3, "app_uninstalled", APP, ""),
    action(5, "app_scopes_expanded", APP, SCOPES),
    action(3, "app_approved", APP, RESOLVED),
    action(2, "app_restricted", APP, RESOLVED),
    action(
        1,
        "app_collaborator_added",
        APP,
        r#"{"app_owner_id":"@U","target_user_id":"@U","is_internal_integration":true}"#,
    ),
    action(
        2,
        "app_manifest_updated",
        APP,
        r#"{"functions":["@n"],"workflows":[],"datastores":[],"permissions_updated":true}"#,
    ),
    action(2, "workflow_published", WORKFLOW, r#"{"new_version_id":"@n","trigger":"shortcut"}"#),
    action(3, "workflow_v2_published", WORKFLOW_V2, ""),
    action(12, "user_added_to_usergroup", USERGROUP, ""),
    action(
        3,
        "usergroup_updated",
        USERGROUP,
        r#"{"team":"@T","subteam":"S@i","added_user_count":3,"removed_user_count":0,"is_flagged":false}"#,
    ),
    action(2, "message_tombstoned", MESSAGE, ""),
    action(
        2,
        "private_message_forwarded",
        MESSAGE,
        r#"{"source_channel":{"id":"@C","privacy":"private","name":"@c"},"destination_channel":{"id":"@C","privacy":"public","name":"@c"},"source_message":{"author_id":"@U"}}"#,
    ),
    action(15, "huddle_started", HUDDLE, ""),
    action(15, "huddle_ended", HUDDLE, ""),
    action(
        1,
        "barrier_updated",
        BARRIER,
        r#"{"barrier_id":"B@i","primary_usergroup_id":"S@i","barriered_from_usergroup_ids":["S@i"],"restricted_subjects":["im"]}"#,
    ),
    action(1, "legal_hold_policy_updated", LEGAL_HOLD, ""),
    action(2, "list_created", LIST, r#"{"access_level":"write","entity_type":"CHANNEL"}"#),
    action(1, "manual_export_started", WORKSPACE, EXPORT),
    action(1, "pref.sso_setting_changed", WORKSPACE, PREFERENCE),
    action(
        1,
        "pref.two_factor_auth_changed",
        ENTERPRISE,
        r#"{"new_value":{"type":["TOPLEVEL_ADMINS"],"user":["@U"]},"previous_value":null}"#,
    ),
    action(8, "emoji_added", WORKSPACE, r#"{"name":"party-@n"}"#),
    action(9, "anomaly", SELF, ANOMALY),
    action(2, "anomaly", APP, TOR),
    // Not one of Slack's: what comes without notice.
    action(
        4,
        "holo_board.pinned",
        NEW,
        r#"{"weightOf":{"x":1.5,"y":[null,true,{"z":"☃"}]},"@n":"a key made of digits"}"#,
    ),
];
