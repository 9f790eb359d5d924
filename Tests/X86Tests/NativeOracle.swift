// Runs one instruction on the host itself, without any of the software CPU's machinery: every general and vector register
// and the whole x87 state are loaded (XRSTOR), the bytes are executed as they are, everything is stored again (XSAVE). A
// SIGFPE on the way is caught and reported. Only encodings of the allow-list and state instructions may be given to it.

import CPrimitives
import Foundation

/// What an instruction starts from and ends with.
struct OracleState {
    /// RAX…R15; RSP is neither loaded nor stored.
    var gpr = [UInt64](repeating: 0, count: 16)
    var flags: UInt64 = 0
    /// A standard XSAVE area of 832 bytes.
    var xsave = [UInt8](repeating: 0, count: 832)
    /// The instruction ended in SIGFPE.
    var faulted = false
}

/// The executor. Its methods must not run on two threads at once: the suites that use it are serialised.
final class NativeOracle: @unchecked Sendable {
    static let shared = NativeOracle()

    private let code: UnsafeMutableRawPointer
    private let context: UnsafeMutableRawPointer
    private let entry: @convention(c) (UnsafeMutableRawPointer) -> Void
    private let instructionOffset: Int
    private let lock = NSLock()

    private static let input = 192
    private static let output = 1088
    private static let longest = 15

    private init() {
        let protection = PROT_READ | PROT_WRITE | PROT_EXEC
        let page = mmap(nil, 4096, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        guard let page, page != MAP_FAILED else { preconditionFailure("no executable memory for tests") }
        code = page
        context = .allocate(byteCount: 2048, alignment: 64)
        context.initializeMemory(as: UInt8.self, repeating: 0, count: 2048)
        var bytes: [UInt8] = [0x53, 0x55, 0x41, 0x54, 0x41, 0x55, 0x41, 0x56, 0x41, 0x57, 0x57]
        let allComponents: [UInt8] = [0xb8, 7, 0, 0, 0, 0x31, 0xd2]
        let others = (0..<16 as Range<UInt8>).filter { $0 != 4 && $0 != 7 }
        func move(_ opcode: UInt8, _ n: UInt8) -> [UInt8] { [n < 8 ? 0x48 : 0x4c, opcode, 0x47 | (n & 7) << 3, n * 8] }
        bytes += allComponents + [0x48, 0x0f, 0xae, 0xaf] + Self.word(Self.input)  // xrstor64
        bytes += [0xff, 0xb7] + Self.word(128) + [0x9d]  // push, popfq
        for n in others { bytes += move(0x8b, n) }
        bytes += move(0x8b, 7)
        instructionOffset = bytes.count
        bytes += [UInt8](repeating: 0x90, count: Self.longest)
        recoveryAddress = UInt(bitPattern: page) + UInt(bytes.count)
        bytes += [0x57, 0x48, 0x8b, 0x7c, 0x24, 0x08]  // push rdi; mov rdi, [rsp+8]
        for n in others { bytes += move(0x89, n) }
        bytes += [0x58, 0x48, 0x89, 0x47, 56]  // pop rax; mov [rdi+56], rax
        bytes += [0x9c, 0x58, 0x48, 0x89, 0x87] + Self.word(128)  // pushfq; pop rax; mov [rdi+128], rax
        bytes += allComponents + [0x48, 0x0f, 0xae, 0xa7] + Self.word(Self.output)  // xsave64
        bytes += [0xdb, 0xe3, 0x68, 0x80, 0x1f, 0, 0, 0x0f, 0xae, 0x14, 0x24, 0x58, 0xc5, 0xf8, 0x77, 0xfc]
        bytes += [0x5f, 0x41, 0x5f, 0x41, 0x5e, 0x41, 0x5d, 0x41, 0x5c, 0x5d, 0x5b, 0xc3]
        page.copyMemory(from: bytes, byteCount: bytes.count)
        entry = unsafeBitCast(page, to: (@convention(c) (UnsafeMutableRawPointer) -> Void).self)
        codeStart = UInt(bitPattern: page)
        var action = sigaction()
        action.__sigaction_handler.sa_sigaction = recover
        action.sa_flags = SA_SIGINFO | SA_ONSTACK
        sigaction(SIGFPE, &action, &previousAction)
    }

    private static func word(_ value: Int) -> [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) } }

    /// Executes `instruction` on `state`.
    func run(_ instruction: [UInt8], _ state: OracleState) -> OracleState {
        lock.lock()
        defer { lock.unlock() }
        precondition(instruction.count <= Self.longest)
        let padded = instruction + [UInt8](repeating: 0x90, count: Self.longest - instruction.count)
        (code + instructionOffset).copyMemory(from: padded, byteCount: padded.count)
        context.copyMemory(from: state.gpr, byteCount: 128)
        context.storeBytes(of: state.flags | 2, toByteOffset: 128, as: UInt64.self)
        (context + Self.input).copyMemory(from: state.xsave, byteCount: 832)
        // All components count as present.
        context.storeBytes(of: 7, toByteOffset: Self.input + 512, as: UInt64.self)
        (context + Self.output).initializeMemory(as: UInt8.self, repeating: 0, count: 832)
        didFault = false
        entry(context)
        var result = OracleState()
        result.gpr = (0..<16).map { context.load(fromByteOffset: $0 * 8, as: UInt64.self) }
        result.flags = context.load(fromByteOffset: 128, as: UInt64.self)
        result.xsave = [UInt8](UnsafeRawBufferPointer(start: context + Self.output, count: 832))
        result.faulted = didFault
        return result
    }
}

// Read and written by the signal handler, on the thread that executes the oracle's code.
private nonisolated(unsafe) var codeStart: UInt = 0
private nonisolated(unsafe) var recoveryAddress: UInt = 0
private nonisolated(unsafe) var didFault = false
private nonisolated(unsafe) var previousAction = sigaction()

private func recover(_ number: Int32, _ info: UnsafeMutablePointer<siginfo_t>?, _ context: UnsafeMutableRawPointer?) {
    guard let context else { return }
    // RIP is the seventeenth of the registers, which begin 40 bytes into ucontext_t.
    let rip = (context + 40 + 16 * 8).assumingMemoryBound(to: UInt.self)
    if rip.pointee >= codeStart && rip.pointee < codeStart + 4096 {
        didFault = true
        rip.pointee = recoveryAddress
    } else if previousAction.sa_flags & SA_SIGINFO != 0 {
        previousAction.__sigaction_handler.sa_sigaction?(number, info, context)
    } else {
        signal(SIGFPE, SIG_DFL)
    }
}
