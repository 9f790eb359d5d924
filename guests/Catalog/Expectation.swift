// What a guest declares about its run: how it ends and what it prints, and how a run is compared with that.
//
// The declaration stands beside the guest's source (`guest.json`, `expected.txt`); this is only its form in Swift.

/// The declared result of running an `EmbeddedGuest`.
public struct Expectation: Sendable, Hashable {
    /// How a run ends.
    public enum Ending: Sendable, Hashable {
        /// The guest wrote a value to the exit port 0xf4; `status` is its low 8 bits.
        case exitPort(status: UInt8)
        /// The guest entered the ACPI sleeping state S5 through PM1a_CNT.
        case powerOff
        /// The guest asked for a reset.
        case reset
        /// A fault in the delivery of a double fault (Intel SDM volume 3, 6.15 "Interrupt 8").
        case tripleFault
        /// The guest reported a panic through pvpanic.
        case panic
        /// The guest stays in HLT with interrupts disabled, for good.
        case halts
    }

    /// How the run ends.
    public let ending: Ending

    /// The console's lines in order, without their ends. Where what is printed depends on what CPUID offers, a line
    /// has more than one admissible text; all others have exactly one.
    public let lines: [[String]]

    /// Compares what a run printed with what it should have printed. Lines that begin with `measured:` are numbers that
    /// differ from run to run, and do not count.
    ///
    /// - Parameter console: everything the guest wrote to its serial port. Lines end in LF, or in CR LF.
    /// - Returns: nil if they agree, else one line that says where they first differ.
    public func difference(from console: String) -> String? {
        // CR LF is one Character.
        var found = console.split(omittingEmptySubsequences: false) { $0 == "\n" || $0 == "\r\n" }
        // Every line is ended, so what follows the last end is empty, or is a line cut short.
        if found.last?.isEmpty == true { found.removeLast() }
        found.removeAll { $0.hasPrefix("measured:") }

        for (index, admissible) in lines.enumerated() {
            guard index < found.count else {
                return "line \(index + 1) is missing: “\(admissible[0])”"
            }
            if !admissible.contains(String(found[index])) {
                return
                    "line \(index + 1) is “\(found[index])” and should be “\(admissible.joined(separator: "” or “"))”"
            }
        }
        if found.count > lines.count {
            return "line \(lines.count + 1) is one too many: “\(found[lines.count])”"
        }
        return nil
    }
}
