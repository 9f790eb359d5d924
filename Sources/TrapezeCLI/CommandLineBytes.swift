// Arguments as the bytes that the process was given. `CommandLine.arguments` repairs what is not UTF-8, and a command
// that a guest is to run must arrive unchanged.

import Foundation

enum CommandLineBytes {
    /// The last `count` arguments of the process, byte for byte.
    static func last(_ count: Int) -> [[UInt8]] {
        let total = Int(CommandLine.argc)
        // SAFETY: argv has `argc` pointers to NUL-terminated strings that live as long as the process.
        return (max(1, total - count)..<max(1, total)).compactMap { index in
            guard let argument = CommandLine.unsafeArgv[index] else { return nil }
            return Array(UnsafeRawBufferPointer(start: argument, count: strlen(argument)))
        }
    }
}
