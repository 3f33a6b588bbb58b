# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_swnctl_global_optspecs
    string join \n json= socket= h/help V/version
end

function __fish_swnctl_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_swnctl_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_swnctl_using_subcommand
    set -l cmd (__fish_swnctl_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c swnctl -n "__fish_swnctl_needs_command" -l json -d 'JSON instead of text: short, the default, or pretty' -r -f -a "short\t'A value on one line'
pretty\t'For people, on many lines'"
complete -c swnctl -n "__fish_swnctl_needs_command" -l socket -d 'The daemon\'s control socket' -r -F
complete -c swnctl -n "__fish_swnctl_needs_command" -s h -l help -d 'Print help'
complete -c swnctl -n "__fish_swnctl_needs_command" -s V -l version -d 'Print version'
complete -c swnctl -n "__fish_swnctl_needs_command" -f -a "status" -d 'Show the daemon and its mounts'
complete -c swnctl -n "__fish_swnctl_needs_command" -f -a "list" -d 'List the registrations, one a line'
complete -c swnctl -n "__fish_swnctl_needs_command" -f -a "monitor" -d 'Show what happens, as it happens'
complete -c swnctl -n "__fish_swnctl_needs_command" -f -a "check" -d 'Say why a mount does, or would not, fail over, and what to do'
complete -c swnctl -n "__fish_swnctl_needs_command" -f -a "test" -d 'Try the way of a notification to the mount, the harmless part first'
complete -c swnctl -n "__fish_swnctl_needs_command" -f -a "wait" -d 'Wait until a mount is registered'
complete -c swnctl -n "__fish_swnctl_needs_command" -f -a "retry" -d 'Register a mount now, without waiting for the next attempt'
complete -c swnctl -n "__fish_swnctl_needs_command" -f -a "log-level" -d 'Show or set how much the daemon logs'
complete -c swnctl -n "__fish_swnctl_needs_command" -f -a "reload" -d 'Have the daemon read its configuration again'
complete -c swnctl -n "__fish_swnctl_needs_command" -f -a "interfaces" -d 'Show the addresses of a cluster\'s nodes, as its witness service lists them'
complete -c swnctl -n "__fish_swnctl_needs_command" -f -a "watch" -d 'Register at a cluster\'s witness, without the kernel, and show what it reports'
complete -c swnctl -n "__fish_swnctl_needs_command" -f -a "metrics" -d 'Write the state and what was counted as text for Prometheus'
complete -c swnctl -n "__fish_swnctl_needs_command" -f -a "config" -d 'Check or show the daemon\'s configuration'
complete -c swnctl -n "__fish_swnctl_needs_command" -f -a "completion" -d 'Write what a shell completes this program\'s commands by'
complete -c swnctl -n "__fish_swnctl_needs_command" -f -a "resolve-key" -d 'Answer the kernel\'s question for a server\'s address: for request-key(8)'
complete -c swnctl -n "__fish_swnctl_needs_command" -f -a "demo" -d 'Show two failovers on this machine alone, without root, cluster and mount'
complete -c swnctl -n "__fish_swnctl_using_subcommand status" -l json -d 'JSON instead of text: short, the default, or pretty' -r -f -a "short\t'A value on one line'
pretty\t'For people, on many lines'"
complete -c swnctl -n "__fish_swnctl_using_subcommand status" -l socket -d 'The daemon\'s control socket' -r -F
complete -c swnctl -n "__fish_swnctl_using_subcommand status" -s h -l help -d 'Print help'
complete -c swnctl -n "__fish_swnctl_using_subcommand list" -l json -d 'JSON instead of text: short, the default, or pretty' -r -f -a "short\t'A value on one line'
pretty\t'For people, on many lines'"
complete -c swnctl -n "__fish_swnctl_using_subcommand list" -l socket -d 'The daemon\'s control socket' -r -F
complete -c swnctl -n "__fish_swnctl_using_subcommand list" -s h -l help -d 'Print help'
complete -c swnctl -n "__fish_swnctl_using_subcommand monitor" -l json -d 'JSON instead of text: short, the default, or pretty' -r -f -a "short\t'A value on one line'
pretty\t'For people, on many lines'"
complete -c swnctl -n "__fish_swnctl_using_subcommand monitor" -l socket -d 'The daemon\'s control socket' -r -F
complete -c swnctl -n "__fish_swnctl_using_subcommand monitor" -l all -d 'Also what is logged to find a fault, such as each echo of the kernel'
complete -c swnctl -n "__fish_swnctl_using_subcommand monitor" -s h -l help -d 'Print help'
complete -c swnctl -n "__fish_swnctl_using_subcommand check" -l credentials -d 'NTLM: a file with username=, password= and domain=, as of mount.cifs' -r -F
complete -c swnctl -n "__fish_swnctl_using_subcommand check" -l user -d 'NTLM: this user, or DOMAIN\\USER, with a password that is asked for' -r -f -a "(__fish_complete_users)"
complete -c swnctl -n "__fish_swnctl_using_subcommand check" -l ccache -d 'Kerberos: the credential cache [default: the usual one]' -r
complete -c swnctl -n "__fish_swnctl_using_subcommand check" -l keytab -d 'Kerberos: get a ticket by a key in this keytab' -r -F
complete -c swnctl -n "__fish_swnctl_using_subcommand check" -l principal -d 'Kerberos: whose key of the keytab [default: the first]' -r
complete -c swnctl -n "__fish_swnctl_using_subcommand check" -l mapper-port -d 'The nodes\' endpoint mapper' -r
complete -c swnctl -n "__fish_swnctl_using_subcommand check" -l json -d 'JSON instead of text: short, the default, or pretty' -r -f -a "short\t'A value on one line'
pretty\t'For people, on many lines'"
complete -c swnctl -n "__fish_swnctl_using_subcommand check" -l socket -d 'The daemon\'s control socket' -r -F
complete -c swnctl -n "__fish_swnctl_using_subcommand check" -s h -l help -d 'Print help'
complete -c swnctl -n "__fish_swnctl_using_subcommand test" -l timeout -d 'For how long at most' -r
complete -c swnctl -n "__fish_swnctl_using_subcommand test" -l credentials -d 'NTLM: a file with username=, password= and domain=, as of mount.cifs' -r -F
complete -c swnctl -n "__fish_swnctl_using_subcommand test" -l user -d 'NTLM: this user, or DOMAIN\\USER, with a password that is asked for' -r -f -a "(__fish_complete_users)"
complete -c swnctl -n "__fish_swnctl_using_subcommand test" -l ccache -d 'Kerberos: the credential cache [default: the usual one]' -r
complete -c swnctl -n "__fish_swnctl_using_subcommand test" -l keytab -d 'Kerberos: get a ticket by a key in this keytab' -r -F
complete -c swnctl -n "__fish_swnctl_using_subcommand test" -l principal -d 'Kerberos: whose key of the keytab [default: the first]' -r
complete -c swnctl -n "__fish_swnctl_using_subcommand test" -l mapper-port -d 'The nodes\' endpoint mapper' -r
complete -c swnctl -n "__fish_swnctl_using_subcommand test" -l json -d 'JSON instead of text: short, the default, or pretty' -r -f -a "short\t'A value on one line'
pretty\t'For people, on many lines'"
complete -c swnctl -n "__fish_swnctl_using_subcommand test" -l socket -d 'The daemon\'s control socket' -r -F
complete -c swnctl -n "__fish_swnctl_using_subcommand test" -l all-nodes -d 'Then register at each node that can be the witness, and unregister'
complete -c swnctl -n "__fish_swnctl_using_subcommand test" -l reconnect -d 'Then have the kernel reconnect; programs wait meanwhile'
complete -c swnctl -n "__fish_swnctl_using_subcommand test" -l yes -d 'Don\'t ask before that'
complete -c swnctl -n "__fish_swnctl_using_subcommand test" -l wait-move -d 'Then wait for a move that the cluster\'s administrator orders'
complete -c swnctl -n "__fish_swnctl_using_subcommand test" -s h -l help -d 'Print help'
complete -c swnctl -n "__fish_swnctl_using_subcommand wait" -l timeout -d 'For how long at most' -r
complete -c swnctl -n "__fish_swnctl_using_subcommand wait" -l json -d 'JSON instead of text: short, the default, or pretty' -r -f -a "short\t'A value on one line'
pretty\t'For people, on many lines'"
complete -c swnctl -n "__fish_swnctl_using_subcommand wait" -l socket -d 'The daemon\'s control socket' -r -F
complete -c swnctl -n "__fish_swnctl_using_subcommand wait" -s h -l help -d 'Print help'
complete -c swnctl -n "__fish_swnctl_using_subcommand retry" -l json -d 'JSON instead of text: short, the default, or pretty' -r -f -a "short\t'A value on one line'
pretty\t'For people, on many lines'"
complete -c swnctl -n "__fish_swnctl_using_subcommand retry" -l socket -d 'The daemon\'s control socket' -r -F
complete -c swnctl -n "__fish_swnctl_using_subcommand retry" -s h -l help -d 'Print help'
complete -c swnctl -n "__fish_swnctl_using_subcommand log-level" -l json -d 'JSON instead of text: short, the default, or pretty' -r -f -a "short\t'A value on one line'
pretty\t'For people, on many lines'"
complete -c swnctl -n "__fish_swnctl_using_subcommand log-level" -l socket -d 'The daemon\'s control socket' -r -F
complete -c swnctl -n "__fish_swnctl_using_subcommand log-level" -s h -l help -d 'Print help'
complete -c swnctl -n "__fish_swnctl_using_subcommand reload" -l json -d 'JSON instead of text: short, the default, or pretty' -r -f -a "short\t'A value on one line'
pretty\t'For people, on many lines'"
complete -c swnctl -n "__fish_swnctl_using_subcommand reload" -l socket -d 'The daemon\'s control socket' -r -F
complete -c swnctl -n "__fish_swnctl_using_subcommand reload" -s h -l help -d 'Print help'
complete -c swnctl -n "__fish_swnctl_using_subcommand interfaces" -l address -d 'The node to ask [default: the first of the name\'s addresses that answers]' -r
complete -c swnctl -n "__fish_swnctl_using_subcommand interfaces" -l credentials -d 'NTLM: a file with username=, password= and domain=, as of mount.cifs' -r -F
complete -c swnctl -n "__fish_swnctl_using_subcommand interfaces" -l user -d 'NTLM: this user, or DOMAIN\\USER, with a password that is asked for' -r -f -a "(__fish_complete_users)"
complete -c swnctl -n "__fish_swnctl_using_subcommand interfaces" -l ccache -d 'Kerberos: the credential cache [default: the usual one]' -r
complete -c swnctl -n "__fish_swnctl_using_subcommand interfaces" -l keytab -d 'Kerberos: get a ticket by a key in this keytab' -r -F
complete -c swnctl -n "__fish_swnctl_using_subcommand interfaces" -l principal -d 'Kerberos: whose key of the keytab [default: the first]' -r
complete -c swnctl -n "__fish_swnctl_using_subcommand interfaces" -l mapper-port -d 'The nodes\' endpoint mapper' -r
complete -c swnctl -n "__fish_swnctl_using_subcommand interfaces" -l json -d 'JSON instead of text: short, the default, or pretty' -r -f -a "short\t'A value on one line'
pretty\t'For people, on many lines'"
complete -c swnctl -n "__fish_swnctl_using_subcommand interfaces" -l socket -d 'The daemon\'s control socket' -r -F
complete -c swnctl -n "__fish_swnctl_using_subcommand interfaces" -l every-node -d 'Ask each node, and compare'
complete -c swnctl -n "__fish_swnctl_using_subcommand interfaces" -s h -l help -d 'Print help'
complete -c swnctl -n "__fish_swnctl_using_subcommand watch" -l address -d 'The address that is watched [default: the first of the name\'s addresses]' -r
complete -c swnctl -n "__fish_swnctl_using_subcommand watch" -l share -d 'The share' -r
complete -c swnctl -n "__fish_swnctl_using_subcommand watch" -l credentials -d 'NTLM: a file with username=, password= and domain=, as of mount.cifs' -r -F
complete -c swnctl -n "__fish_swnctl_using_subcommand watch" -l user -d 'NTLM: this user, or DOMAIN\\USER, with a password that is asked for' -r -f -a "(__fish_complete_users)"
complete -c swnctl -n "__fish_swnctl_using_subcommand watch" -l ccache -d 'Kerberos: the credential cache [default: the usual one]' -r
complete -c swnctl -n "__fish_swnctl_using_subcommand watch" -l keytab -d 'Kerberos: get a ticket by a key in this keytab' -r -F
complete -c swnctl -n "__fish_swnctl_using_subcommand watch" -l principal -d 'Kerberos: whose key of the keytab [default: the first]' -r
complete -c swnctl -n "__fish_swnctl_using_subcommand watch" -l mapper-port -d 'The nodes\' endpoint mapper' -r
complete -c swnctl -n "__fish_swnctl_using_subcommand watch" -l json -d 'JSON instead of text: short, the default, or pretty' -r -f -a "short\t'A value on one line'
pretty\t'For people, on many lines'"
complete -c swnctl -n "__fish_swnctl_using_subcommand watch" -l socket -d 'The daemon\'s control socket' -r -F
complete -c swnctl -n "__fish_swnctl_using_subcommand watch" -s h -l help -d 'Print help'
complete -c swnctl -n "__fish_swnctl_using_subcommand metrics" -l format -d 'openmetrics or prometheus (version 0.0.4)' -r -f -a "openmetrics\t'OpenMetrics 1.0'
prometheus\t'Prometheus\'s own, version 0.0.4, which node_exporter reads'"
complete -c swnctl -n "__fish_swnctl_using_subcommand metrics" -l textfile -d 'To this file, for node_exporter\'s textfile collector' -r -F
complete -c swnctl -n "__fish_swnctl_using_subcommand metrics" -l json -d 'JSON instead of text: short, the default, or pretty' -r -f -a "short\t'A value on one line'
pretty\t'For people, on many lines'"
complete -c swnctl -n "__fish_swnctl_using_subcommand metrics" -l socket -d 'The daemon\'s control socket' -r -F
complete -c swnctl -n "__fish_swnctl_using_subcommand metrics" -l http -d 'Answer one request of HTTP on the standard streams, as swnd-metrics.socket does'
complete -c swnctl -n "__fish_swnctl_using_subcommand metrics" -s h -l help -d 'Print help'
complete -c swnctl -n "__fish_swnctl_using_subcommand config; and not __fish_seen_subcommand_from check show" -l json -d 'JSON instead of text: short, the default, or pretty' -r -f -a "short\t'A value on one line'
pretty\t'For people, on many lines'"
complete -c swnctl -n "__fish_swnctl_using_subcommand config; and not __fish_seen_subcommand_from check show" -l socket -d 'The daemon\'s control socket' -r -F
complete -c swnctl -n "__fish_swnctl_using_subcommand config; and not __fish_seen_subcommand_from check show" -s h -l help -d 'Print help'
complete -c swnctl -n "__fish_swnctl_using_subcommand config; and not __fish_seen_subcommand_from check show" -f -a "check" -d 'Say what is wrong in the files'
complete -c swnctl -n "__fish_swnctl_using_subcommand config; and not __fish_seen_subcommand_from check show" -f -a "show" -d 'Show each setting of the files, and where it is from'
complete -c swnctl -n "__fish_swnctl_using_subcommand config; and __fish_seen_subcommand_from check" -l json -d 'JSON instead of text: short, the default, or pretty' -r -f -a "short\t'A value on one line'
pretty\t'For people, on many lines'"
complete -c swnctl -n "__fish_swnctl_using_subcommand config; and __fish_seen_subcommand_from check" -l socket -d 'The daemon\'s control socket' -r -F
complete -c swnctl -n "__fish_swnctl_using_subcommand config; and __fish_seen_subcommand_from check" -s h -l help -d 'Print help'
complete -c swnctl -n "__fish_swnctl_using_subcommand config; and __fish_seen_subcommand_from show" -l json -d 'JSON instead of text: short, the default, or pretty' -r -f -a "short\t'A value on one line'
pretty\t'For people, on many lines'"
complete -c swnctl -n "__fish_swnctl_using_subcommand config; and __fish_seen_subcommand_from show" -l socket -d 'The daemon\'s control socket' -r -F
complete -c swnctl -n "__fish_swnctl_using_subcommand config; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help'
complete -c swnctl -n "__fish_swnctl_using_subcommand completion" -l json -d 'JSON instead of text: short, the default, or pretty' -r -f -a "short\t'A value on one line'
pretty\t'For people, on many lines'"
complete -c swnctl -n "__fish_swnctl_using_subcommand completion" -l socket -d 'The daemon\'s control socket' -r -F
complete -c swnctl -n "__fish_swnctl_using_subcommand completion" -s h -l help -d 'Print help'
complete -c swnctl -n "__fish_swnctl_using_subcommand resolve-key" -l json -d 'JSON instead of text: short, the default, or pretty' -r -f -a "short\t'A value on one line'
pretty\t'For people, on many lines'"
complete -c swnctl -n "__fish_swnctl_using_subcommand resolve-key" -l socket -d 'The daemon\'s control socket' -r -F
complete -c swnctl -n "__fish_swnctl_using_subcommand resolve-key" -s h -l help -d 'Print help'
complete -c swnctl -n "__fish_swnctl_using_subcommand demo" -l json -d 'JSON instead of text: short, the default, or pretty' -r -f -a "short\t'A value on one line'
pretty\t'For people, on many lines'"
complete -c swnctl -n "__fish_swnctl_using_subcommand demo" -l socket -d 'The daemon\'s control socket' -r -F
complete -c swnctl -n "__fish_swnctl_using_subcommand demo" -s h -l help -d 'Print help'
