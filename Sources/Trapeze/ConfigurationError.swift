// Why a configuration is refused, or a machine can't be made of it: always the user's to mend, and said in one line.

/// An error in a virtual machine's definition.
public struct ConfigurationError: Error, Equatable, Sendable, CustomStringConvertible {
    /// What kind of thing is wrong; a caller may act on it.
    public enum Reason: Sendable, Equatable {
        /// A value is out of range or contradicts another.
        case invalidValue
        /// A file is missing, can't be read, or does not hold what it should.
        case badFile
        /// No engine has this name.
        case unknownEngine
        /// The engine has a place in Trapeze, but does not run here.
        case engineUnavailable
        /// The host lacks what the machine needs, such as memory.
        case hostLimit
    }

    /// The kind of error.
    public let reason: Reason
    /// The message: what is wrong, where, and what would be right. One line.
    public let description: String

    /// Wraps a message.
    public init(_ reason: Reason, _ description: String) {
        self.reason = reason
        self.description = description
    }
}
