// Names of calls for messages, and what their errors mean.

import CKVM
import VirtualCPU

/// A call to the kernel, by its name in the kernel's documentation.
struct KVMCall: ExpressibleByStringLiteral {
    let name: StaticString

    init(stringLiteral name: StaticString) { self.name = name }

    static let mapRun: KVMCall = "mmap of a vCPU"

    /// The result of a call if it is one, else an error in one line.
    @discardableResult func check(_ result: Int32) throws(EngineError) -> Int32 {
        guard result < 0 else { return result }
        throw EngineError("\(name): \(KVMCall.text(-result))")
    }

    /// The error's text, with what usually helps.
    static func text(_ error: Int32) -> String {
        let text = String(cString: ckvm_error_text(error))
        switch error {
        case Errno.tooManyFiles: return "\(text) (raise the limit: ulimit -n)"
        case Errno.outOfMemory: return "\(text) (the host has no memory left for another virtual machine)"
        default: return text
        }
    }
}

/// Error numbers of Linux that are told apart here.
enum Errno {
    static let noEntry: Int32 = 2
    static let interrupted: Int32 = 4
    static let again: Int32 = 11
    static let outOfMemory: Int32 = 12
    static let access: Int32 = 13
    static let badAddress: Int32 = 14
    static let exists: Int32 = 17
    static let noDevice: Int32 = 19
    static let tooManyFiles: Int32 = 24
}

/// Repeats a call that a signal has interrupted or that asks to be tried again; 100 times at most.
func retrying(_ body: () -> Int32) -> Int32 {
    for _ in 0..<100 {
        let result = body()
        guard result == -Errno.interrupted || result == -Errno.again else { return result }
    }
    return body()
}
