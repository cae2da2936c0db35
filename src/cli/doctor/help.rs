//! What `doctor --help` says below the options: every check, how to look as the daemon does, the form of the answer.

use super::checks::Check;
use super::who;

/// What `doctor --help` says below the options.
pub(in crate::cli) fn help() -> String {
    format!(
        "\
Checks, as far as the settings need them (with SQLite and a webhook, none of AWS):
{}
It leaves nothing behind: an empty file is made and removed, writes and a message are made so that
AWS refuses them, and a database is opened to be read. Each check ends within 15 s (test messages within 40 s), and all of them run,
whatever one finds. A line begins with ok, !! (a warning: it works), xx (a fault) or -- (not
checked, because of another fault); what to do stands below it, after ->.

To look as the daemon does, be its user, and have its environment:
  sudo -u api-health api-health --settings {settings} \\
      doctor --env-file /etc/api-health/env
Of this shell's own variables, --env-file passes on no more than PATH, HOME, the user's name, those
of the terminal, and STATE_DIRECTORY and CREDENTIALS_DIRECTORY; without the former it is
/var/lib/api-health, where that folder is. The environment of a daemon that runs:
  sudo cat /proc/$(systemctl show -P MainPID api-health)/environ |
      sudo -u api-health api-health --settings {settings} \\
      doctor --env-file -
Or as a unit of its own:
  systemd-run --pipe --wait --collect --uid=api-health \\
      -p EnvironmentFile=-/etc/api-health/env -p StateDirectory=api-health \\
      api-health --settings {settings} doctor

Exit codes: 0 no fault (there may be warnings), 69 a fault, 64 the settings or the command line
are bad.

With --json, every name is stable:
  version, summary {{ ok, warn, fault, not_checked }},
  findings[] {{ check, result (ok, warn, fault, not_checked), what, todo (or null) }}
A check may have several findings. With --send-test-message, the terminal's alert goes to standard
error then.

Examples:
  api-health doctor
  api-health doctor --send-test-message
  api-health doctor --json | jq -r '.findings[] | select(.result == \"fault\") | .todo'",
        Check::help(),
        settings = who::SETTINGS_FILE,
    )
}
