// The module's face: Debian as a guest, from a choice of kernel and an optional command to what a machine boots.
//
// It knows nothing of machines: it gives a kernel file, the bytes of an initramfs and a kernel command line, which any
// loader for Linux takes. Not for use on a path where blocking is unwelcome: a first run downloads about 30 MB.

/// What to prepare.
public struct DebianGuestOptions: Sendable {
    /// The form in which the kernel is handed over.
    public enum KernelForm: Sendable {
        /// As Debian ships it, for the Linux boot protocol.
        case bzImage
        /// The ELF file out of it, for PVH.
        case vmlinux
    }

    /// Which of Debian's kernels.
    public var kernel = DebianKernel.cloud
    /// In which form it is booted.
    public var kernelForm = KernelForm.bzImage
    /// The command to run and its arguments, byte for byte; nil gives an interactive shell.
    public var command: [[UInt8]]?
    /// What the console is on the host's side.
    public var console = GuestConsole()
    /// What the initial RAM disk holds.
    public var userland = DebianUserland.busybox
    /// The first line that the guest prints; nil leaves a shell's greeting in place and prints nothing for a command.
    public var firstLine: String?
    /// Whether the kernel's own messages are shown while it boots.
    public var showsKernelMessages = false
    /// Further kernel parameters, which come last and so win.
    public var kernelParameters = ""
    /// Asks the archive for its newest although the cache has what is needed.
    public var refresh = false
    /// The folder for caches; nil takes XDG_CACHE_HOME or ~/.cache.
    public var cachesFolder: String?
    /// Where the host's tools are looked up, colon-separated; nil takes PATH.
    public var searchPath: String?

    /// Debian's cloud kernel with busybox and a shell.
    public init() {}
}

/// Debian, ready to boot.
public struct PreparedGuest: Equatable, Sendable {
    /// The kernel's file in the cache.
    public let kernelPath: String
    /// The kernel's release, as `uname -r` prints it.
    public let release: String
    /// The initramfs.
    public let initrd: [UInt8]
    /// The kernel's command line.
    public let commandLine: String
    /// What to feed the console when the host's input ends, so that a command sees an end of file: `^D` ends an
    /// unfinished line, a second one the input. Empty where the guest reads a terminal or runs a shell.
    public let endOfInput: [UInt8]
    /// Whether the guest reads input that is no terminal's. It must then be held back until the guest, by its serial
    /// port's modem control register, has lowered DTR and raised it again (what comes earlier is lost or echoed), and
    /// after that whenever RTS is low. The port must show CTS in its modem status register.
    public let gatesInput: Bool
}

/// Debian as a guest: from package names to what a machine boots.
public enum DebianGuest {
    /// Fetches what is missing and builds the initramfs. Blocks; with a warm cache for some milliseconds.
    ///
    /// `progress` takes lines for the user, without a newline; there are none with a warm cache.
    public static func prepare(
        _ options: DebianGuestOptions, progress: (String) -> Void
    ) throws(DebianGuestError) -> PreparedGuest {
        let session = options.command.map { InitScript.Session.command($0) } ?? .shell
        // A command that can't be carried is refused before anything is downloaded.
        _ = try InitScript(
            session: session, console: options.console, modules: [], installsBusybox: true
        ).sessionFile()
        let cache =
            if let folder = options.cachesFolder { DebianCache(cachesFolder: folder) } else {
                try DebianCache(environment: DebianCache.environmentVariable)
            }
        return try withoutActuallyEscaping(progress) { progress throws(DebianGuestError) in
            let fetcher = DebianFetcher(
                cache: cache,
                searchPath: options.searchPath ?? DebianCache.environmentVariable("PATH") ?? "/usr/bin:/bin",
                progress: progress)
            let entry = try fetcher.entry(for: options.kernel, refresh: options.refresh)
            let kernelPath =
                switch options.kernelForm {
                case .bzImage: entry.kernelPath
                case .vmlinux: try fetcher.elfKernel(of: entry)
                }
            let initramfs = DebianInitramfs(
                entry: entry, userland: options.userland, session: session, console: options.console,
                firstLine: options.firstLine ?? greeting(session, entry))
            let readsStream = session != .shell && !options.console.inputIsTerminal
            return PreparedGuest(
                kernelPath: kernelPath, release: entry.release, initrd: try initramfs.build(),
                commandLine: commandLine(options, session),
                endOfInput: readsStream ? [4, 4] : [], gatesInput: !options.console.inputIsTerminal)
        }
    }

    private static func greeting(_ session: InitScript.Session, _ entry: DebianCache.Entry) -> String? {
        session == .shell ? "Debian's kernel \(entry.release) with busybox; `poweroff` ends the run" : nil
    }

    /// The kernel's command line. `panic=-1` restarts at once after a panic, which ends the run, where the kernel's
    /// default is to wait for ever.
    private static func commandLine(_ options: DebianGuestOptions, _ session: InitScript.Session) -> String {
        var words = ["console=ttyS0,115200", "rdinit=/init", "panic=-1"]
        if !options.showsKernelMessages {
            words.append("quiet")
            // A command's output is the user's data: nothing of the kernel's goes between but its last words.
            if session != .shell { words.append("loglevel=1") }
        }
        if !options.kernelParameters.isEmpty { words.append(options.kernelParameters) }
        return words.joined(separator: " ")
    }
}
