// Executable memory for native stubs: one arena per process, since a stub knows no guest. It is mapped twice, once for
// writing and once for execution, and never both through one mapping.

import CPrimitives
import Foundation
import Synchronization
import VirtualCPU

/// The arena and the stubs in it.
final class NativeCode: @unchecked Sendable {
    // Sendable: what changes is behind the mutex; the mappings live as long as the process.

    /// Bytes reserved; memory is used as stubs are made. More than every stub of the allow-list together can need.
    static let size = 16 << 20

    /// The arena, or why this host gives none.
    static let shared: Result<NativeCode, EngineError> = {
        do throws(EngineError) { return .success(try NativeCode()) } catch { return .failure(error) }
    }()

    private struct Contents {
        var used = 0
        var stubs: [NativeStubKey: Int] = [:]
    }
    private let contents = Mutex(Contents())
    // SAFETY: two mappings of the same memory file, never unmapped. Only code behind `used` is written, and no stub is
    // called before it is complete.
    private let writable: UnsafeMutableRawPointer
    private let executable: UnsafeRawPointer
    private let exits: NativeExits

    private init() throws(EngineError) {
        let descriptor = tz_memfd_create("native-stubs")
        guard descriptor >= 0 else { throw Self.unavailable(-descriptor) }
        defer { close(descriptor) }
        guard ftruncate(descriptor, Self.size) == 0,
            let writable = mmap(nil, Self.size, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0),
            writable != MAP_FAILED,
            let executable = mmap(nil, Self.size, PROT_READ | PROT_EXEC, MAP_SHARED, descriptor, 0),
            executable != MAP_FAILED
        else { throw Self.unavailable(errno) }
        self.writable = writable
        self.executable = UnsafeRawPointer(executable)
        var code = HostCode()
        let origin = Int(bitPattern: executable)
        // Constants: the host's MXCSR, and the Swift functions behind the exits.
        code.emit32(0x1f80)
        code.emit32(0)
        for handler in [raiseClosedGate, raiseSIMDException, raiseX87Exception] {
            let address = UInt64(UInt(bitPattern: unsafeBitCast(handler, to: UnsafeRawPointer.self)))
            code.emit((0..<8).map { UInt8(truncatingIfNeeded: address >> UInt64(8 * $0)) })
        }
        func jump(_ slot: Int) {
            code.emit(0xff, 0x25)  // jmp [rip + …]
            code.emit32(Int32(slot - code.bytes.count - 4))
        }
        exits = NativeExits(gate: origin + code.bytes.count, hostMXCSR: origin)
        jump(8)
        let simdExit = code.bytes.count
        code.stateInstruction(0xae, extension: 3, Int(TZ_OFFSET_MXCSR))  // stmxcsr: flags as the exception set them
        code.emit(0x0f, 0xae, 0x15)  // ldmxcsr
        code.emit32(Int32(-code.bytes.count - 4))
        code.emit(0xdb, 0xe3)  // fninit: EMMS would wait
        if tz_cpuid(1, 0).ecx & 1 << 28 != 0 { code.zeroUpper() }
        jump(16)
        let x87Exit = code.bytes.count
        code.emit(0xdb, 0xe3)  // fninit
        jump(24)
        writable.copyMemory(from: code.bytes, byteCount: code.bytes.count)
        contents.withLock { $0.used = (code.bytes.count + 15) & ~15 }
        let error = tz_native_catch_exceptions(
            executable, executable + Self.size, executable + simdExit, executable + x87Exit)
        guard error == 0 else { throw Self.unavailable(-error) }
    }

    private static func unavailable(_ error: Int32) -> EngineError {
        EngineError("the host gives no executable memory for native stubs: \(String(cString: strerror(error)))")
    }

    /// The address of the stub for an encoding, made if it does not exist yet; nil when the arena is full.
    func stub(_ key: NativeStubKey) -> Int? {
        contents.withLock { contents in
            if let known = contents.stubs[key] { return known }
            let address = Int(bitPattern: executable) + contents.used
            let code = NativeStubBuilder.build(
                NativeTable.shared.rows[Int(key.row)], key, exits: exits, at: address)
            guard contents.used + code.count <= Self.size else { return nil }
            (writable + contents.used).copyMemory(from: code, byteCount: code.count)
            contents.used = (contents.used + code.count + 15) & ~15
            contents.stubs[key] = address
            return address
        }
    }

    /// Bytes of code so far.
    var used: Int { contents.withLock { $0.used } }
}
