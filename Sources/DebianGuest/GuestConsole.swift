// What stands at the other end of the guest's serial console.

/// The host's side of the console, which the guest's terminal settings are made to fit.
///
/// A console carries terminal traffic or plain bytes, each way on its own. Towards a terminal the guest's tty does what
/// ttys do: echo, line editing, Ctrl-C, a carriage return before each newline. Towards a file or pipe, for a command,
/// every byte is left as it is.
public struct GuestConsole: Equatable, Sendable {
    /// The value of TERM; "dumb" where there is no terminal.
    public var term: String
    /// Size in characters, when known.
    public var size: Size?
    /// Whether standard input is a terminal.
    public var inputIsTerminal: Bool
    /// Whether standard output is a terminal.
    public var outputIsTerminal: Bool

    /// A terminal's size in characters.
    public struct Size: Equatable, Sendable {
        /// Lines.
        public var rows: Int
        /// Characters in a line.
        public var columns: Int

        /// Makes a size.
        public init(rows: Int, columns: Int) {
            self.rows = rows
            self.columns = columns
        }
    }

    /// Describes the host's end of the console.
    public init(
        term: String = "dumb", size: Size? = nil, inputIsTerminal: Bool = false, outputIsTerminal: Bool = false
    ) {
        self.term = term
        self.size = size
        self.inputIsTerminal = inputIsTerminal
        self.outputIsTerminal = outputIsTerminal
    }

    /// A terminal at both ends.
    public static func terminal(term: String, size: Size?) -> GuestConsole {
        GuestConsole(term: term, size: size, inputIsTerminal: true, outputIsTerminal: true)
    }

    /// Runs of stty, each a list of arguments, that set the guest's console for a command.
    ///
    /// Input that is no terminal stays line-wise, so that an end of file can be sent (`^D`), but nothing in it is
    /// interpreted besides: no echo, no signals, no editing, no translation. Its flow is controlled by RTS and CTS.
    /// Until these settings hold, whatever arrives would be echoed and interpreted; so DTR is lowered (speed 0 does
    /// that) and raised again after them.
    var commandSettings: [[String]] {
        var settings = sizeSettings
        if !outputIsTerminal { settings.append("-opost") }
        if inputIsTerminal {
            // What is typed must not end up in a file.
            if !outputIsTerminal { settings.append("-echo") }
            return settings.isEmpty ? [] : [settings]
        }
        settings += ["0", "crtscts", "-echo", "-isig", "-iexten", "-ixon", "-ixoff"]
        settings += ["-icrnl", "-inlcr", "-igncr", "-istrip"]
        for key in ["erase", "kill", "eol", "eol2"] { settings += [key, "undef"] }
        return [settings, ["115200"]]
    }

    /// The same for an interactive shell. What comes from a file or pipe is taken as if it were typed, but not before the
    /// shell's terminal is ready, nor faster than the shell reads it.
    var shellSettings: [[String]] {
        guard inputIsTerminal else { return [sizeSettings + ["0", "crtscts"], ["115200"]] }
        return sizeSettings.isEmpty ? [] : [sizeSettings]
    }

    private var sizeSettings: [String] {
        guard let size, (1...9999).contains(size.rows), (1...9999).contains(size.columns) else { return [] }
        return ["rows", "\(size.rows)", "columns", "\(size.columns)"]
    }
}
