// The guest's process 1: a script for busybox's shell, written anew for every run.
//
// It prints its first line, sets the machine up (file systems, name, pvpanic), gives the console the wanted settings,
// and runs one session: an interactive shell, or the user's command. After a shell it powers off; after a command it
// ends the run with the command's status. It uses busybox by its full path only, since a userland of the user's may
// have tools of the same names.

struct InitScript {
    enum Session: Equatable {
        case shell
        /// The command's words, byte for byte.
        case command([[UInt8]])
    }

    var session: Session
    var console: GuestConsole
    /// Printed before anything else; nil prints nothing.
    var firstLine: String?
    /// Modules to load, from `modulesFolder`, in this order.
    var modules: [String]
    /// Whether busybox is the whole userland, and installs itself as all its tools.
    var installsBusybox: Bool

    static let folder = "/trapeze"
    static let busybox = folder + "/busybox"
    static let exitProgram = folder + "/exit"
    static let foregroundProgram = folder + "/foreground"
    static let sessionScript = folder + "/session"
    static let modulesFolder = folder + "/modules"

    private static let path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

    /// `/init`.
    var initFile: [UInt8] {
        var script = "#!\(Self.busybox) sh\n"
        if let firstLine { script += "echo \(quoted(firstLine))\n" }
        script += """
            bb=\(Self.busybox)
            export PATH=\(Self.path) HOME=/root USER=root LOGNAME=root TERM=\(quoted(console.term))
            $bb mkdir -p /proc /sys /dev /tmp /run /root
            $bb mount -t proc proc /proc
            $bb mount -t sysfs sysfs /sys
            $bb mount -t devtmpfs devtmpfs /dev
            $bb mkdir -p /dev/pts /dev/shm
            $bb mount -t devpts devpts /dev/pts
            $bb ln -sf /proc/self/fd /dev/fd
            $bb ln -sf fd/0 /dev/stdin
            $bb ln -sf fd/1 /dev/stdout
            $bb ln -sf fd/2 /dev/stderr
            $bb chmod 1777 /tmp /dev/shm
            $bb hostname trapeze
            $bb ifconfig lo 127.0.0.1 up

            """
        if installsBusybox { script += "$bb --install -s\n" }
        // A kernel given by hand may be another than the modules are for; then panics go unreported.
        for module in modules { script += "$bb insmod \(Self.modulesFolder)/\(module).ko 2>/dev/null\n" }
        // busybox's poweroff, halt and reboot ask process 1 by these signals.
        script += """
            end() {
                # The kernel's farewell is not part of anyone's output.
                echo 0 >/proc/sys/kernel/printk
                $bb "$1" -f
            }
            trap 'end poweroff' USR1 USR2
            trap 'end reboot' TERM
            cd /root

            """
        for settings in session == .shell ? console.shellSettings : console.commandSettings {
            // stty complains when it reads back another speed than 0.
            script += "$bb stty \(settings.joined(separator: " ")) 2>/dev/null\n"
        }
        // The session gets the console as its controlling terminal, so that Ctrl-C and job control work. It runs in
        // the background, because only while it waits does a shell take the signals above at once.
        script += """
            $bb setsid $bb cttyhack \(Self.foregroundProgram) $bb sh \(Self.sessionScript) </dev/console &
            wait $!

            """
        switch session {
        case .shell:
            script += "end poweroff\n"
        case .command:
            script += "exec \(Self.exitProgram) $?\n"
        }
        return Array(script.utf8)
    }

    /// The script that becomes the session's first process.
    func sessionFile() throws(DebianGuestError) -> [UInt8] {
        switch session {
        case .shell:
            return Array(
                """
                export PS1='trapeze:\\w\\$ '
                for shell in /bin/bash /bin/sh; do
                    [ -x $shell ] && exec $shell
                done
                exec \(Self.busybox) sh

                """.utf8)
        case .command(let words):
            guard !words.isEmpty else { throw .emptyCommand }
            // The command is looked up here: busybox's shell would prefer its own tools to those of the userland. The
            // session's first process outlives it and ends the run itself: when that process exits, the kernel hangs up the
            // terminal and throws away what the console has not sent yet.
            let lookup = """

                name=$1
                shift
                file=
                case $name in
                /*) file=$name ;;
                */*) file=./$name ;;
                *)
                    IFS=:
                    for folder in $PATH; do
                        if [ -f "$folder/$name" ] && [ -x "$folder/$name" ]; then
                            file=$folder/$name
                            break
                        fi
                    done
                    unset IFS
                    if [ -z "$file" ] || [ -z "$name" ]; then
                        printf '%s: command not found\\n' "$name" >&2
                        exec \(Self.exitProgram) 127
                    fi
                    ;;
                esac
                (exec -a "$name" "$file" "$@")
                exec \(Self.exitProgram) $?

                """
            return Array("set -- ".utf8) + (try ShellWords.joined(words)) + Array(lookup.utf8)
        }
    }

    private func quoted(_ text: String) -> String {
        String(decoding: ShellWords.quoted(text.utf8.filter { $0 != 0 }), as: UTF8.self)
    }
}
