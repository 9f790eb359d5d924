// The software CPU's hot state as Swift code sees it: a pointer to `tz_cpu` with the manual's vocabulary. Everything in
// this module that executes guest instructions takes a `CPU`.

import CPrimitives
import LocalAPIC
import VirtualCPU

/// A decoded instruction in the cache.
typealias Instruction = UnsafePointer<tz_instruction>

/// The state of one software vCPU.
// SAFETY: the pointee is allocated by `SoftwareCPU`, outlives every use on that vCPU's thread, and only `attention` is
// touched by other threads (atomically).
struct CPU {
    let state: UnsafeMutablePointer<tz_cpu>

    @inline(__always) init(_ state: UnsafeMutablePointer<tz_cpu>) { self.state = state }

    /// The Swift object that owns this state, for slow paths.
    @inline(__always) var owner: SoftwareCPU {
        // SAFETY: `context` is set by `SoftwareCPU.init` to itself and never changes.
        Unmanaged<SoftwareCPU>.fromOpaque(state.pointee.context.unsafelyUnwrapped)._withUnsafeGuaranteedRef { $0 }
    }

    /// Does something with the vCPU's local APIC, to which no reference is counted: its timer's is weak, which makes that slow.
    @inline(__always) func withLocalAPIC<R>(_ body: (LocalAPIC) -> R) -> R {
        // SAFETY: as for `owner`, which keeps its local APIC.
        Unmanaged<SoftwareCPU>.fromOpaque(state.pointee.context.unsafelyUnwrapped)._withUnsafeGuaranteedRef { owner in
            owner.localAPICReference._withUnsafeGuaranteedRef(body)
        }
    }

    /// Does something with the machine's bus, to which no reference is counted either.
    @inline(__always) func withBus<R>(_ body: (any Bus) -> R) -> R {
        // SAFETY: as for `owner`, which keeps the bus.
        Unmanaged<SoftwareCPU>.fromOpaque(state.pointee.context.unsafelyUnwrapped)._withUnsafeGuaranteedRef { owner in
            body(owner.bus)
        }
    }

    // MARK: Registers

    /// Reads an integer register by its byte offset (`tz_instruction.reg`, `.rm`).
    @inline(__always) func register<T: GuestInteger>(_ offset: UInt8, as type: T.Type) -> T {
        UnsafeRawPointer(state).load(fromByteOffset: Int(offset), as: T.self)
    }

    /// Writes an integer register by its byte offset: 32-bit writes clear the upper half, narrower ones keep it (SDM
    /// volume 1, section 3.4.1.1).
    @inline(__always) func setRegister<T: GuestInteger>(_ offset: UInt8, to value: T) {
        if T.self == UInt32.self {
            UnsafeMutableRawPointer(state).storeBytes(of: UInt64(value), toByteOffset: Int(offset), as: UInt64.self)
        } else {
            UnsafeMutableRawPointer(state).storeBytes(of: value, toByteOffset: Int(offset), as: T.self)
        }
    }

    /// A general register, whole, by number.
    @inline(__always) subscript(register: GPR) -> UInt64 {
        get { self.register(register.rawValue &* 8, as: UInt64.self) }
        nonmutating set { setRegister(register.rawValue &* 8, to: newValue) }
    }

    @inline(__always) var rip: UInt64 {
        get { state.pointee.rip }
        nonmutating set { state.pointee.rip = newValue }
    }

    @inline(__always) var cpl: UInt8 { state.pointee.cpl }

    // MARK: Modes

    /// IA-32e mode is active (EFER.LMA).
    @inline(__always) var longMode: Bool { state.pointee.long_mode != 0 }
    /// 64-bit mode, as opposed to compatibility mode.
    @inline(__always) var in64BitMode: Bool { state.pointee.code_width == 8 }
    @inline(__always) var protectedMode: Bool { state.pointee.cr0 & CR0.pe != 0 }
    @inline(__always) var virtual8086: Bool { state.pointee.system_flags & RFLAGS.vm != 0 }
    /// Real-address or virtual-8086 mode: segments are selector × 16.
    @inline(__always) var realOrVirtual8086: Bool { !protectedMode || virtual8086 }
    @inline(__always) var iopl: UInt8 { UInt8(truncatingIfNeeded: state.pointee.system_flags >> 12 & 3) }

    // MARK: Flags

    /// All of RFLAGS, put together from its two parts.
    var rflags: UInt64 {
        get { state.pointee.system_flags | CPU.rflags(fromArithmetic: state.pointee.arithmetic) }
        nonmutating set {
            state.pointee.arithmetic = CPU.arithmetic(fromRFLAGS: newValue)
            state.pointee.system_flags = newValue & ~RFLAGS.arithmetic | RFLAGS.reservedOne
            heedWaitingInterrupt()
        }
    }

    /// After RFLAGS.IF may have been set: the run loop looks for the interrupt that has waited for that.
    @inline(__always) func heedWaitingInterrupt() {
        guard _slowPath(state.pointee.interrupt_waits != 0), state.pointee.system_flags & RFLAGS.if != 0 else { return }
        _ = tz_atomic_or(&state.pointee.attention, UInt64(TZ_ATTENTION_INTERRUPT))
        endBlock()
    }

    @inline(__always) static func rflags(fromArithmetic word: UInt64) -> UInt64 {
        word >> 8 & 0xd5 | (word & 1) << 11
    }

    @inline(__always) static func arithmetic(fromRFLAGS flags: UInt64) -> UInt64 {
        (flags & 0xd5) << 8 | flags >> 11 & 1
    }

    /// Makes the run loop stop after this instruction and look again: at interrupts, modes, or decoded code.
    @inline(__always) func endBlock() { state.pointee.block_end = nil }
}

/// Integers that instructions operate on.
protocol GuestInteger: FixedWidthInteger, UnsignedInteger, BitwiseCopyable {
    associatedtype Signed: FixedWidthInteger & SignedInteger
}
extension UInt8: GuestInteger { typealias Signed = Int8 }
extension UInt16: GuestInteger { typealias Signed = Int16 }
extension UInt32: GuestInteger { typealias Signed = Int32 }
extension UInt64: GuestInteger { typealias Signed = Int64 }

/// General registers by their encoding.
enum GPR: UInt8 {
    case rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15
}

/// Segment registers by their encoding, and the two system segments.
enum SegmentRegister: UInt8, CaseIterable {
    case es, cs, ss, ds, fs, gs, ldtr, tr
}
