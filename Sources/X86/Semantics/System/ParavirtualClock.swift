// kvmclock and steal time: what a guest may know of its time without asking a device. It names a place in its memory by
// an MSR, and finds there how its time-stamp counter becomes nanoseconds (Linux, Documentation/virt/kvm/x86/msr.rst).
//
// The counter counts the clock's nanoseconds, so a page that is written once stays right for as long as the counter is not
// set. Steal time is the processor time that the vCPU wanted and the host's scheduler gave to others.

import CPrimitives
import Foundation
import VirtualCPU

/// Numbers of KVM's MSRs.
enum KVMRegister {
    static let wallClockOld: UInt32 = 0x11
    static let systemTimeOld: UInt32 = 0x12
    static let wallClock: UInt32 = 0x4b56_4d00
    static let systemTime: UInt32 = 0x4b56_4d01
    static let stealTime: UInt32 = 0x4b56_4d03

    /// Those that CPUID offers, each under its newer name.
    static let all = [wallClock, systemTime, stealTime]

    /// The newer name of a register; nil if it is none of these.
    static func canonical(_ number: UInt32) -> UInt32? {
        switch number {
        case wallClockOld: wallClock
        case systemTimeOld: systemTime
        case wallClock, systemTime, stealTime: number
        default: nil
        }
    }
}

/// What a vCPU has to remember of steal time. Nothing of it is the guest's.
struct StealTime {
    /// Processor time of the thread, and the time, when the account was last made; nil when the vCPU did not run since.
    fileprivate var last: (processor: UInt64, time: UInt64)?
    /// The guest has asked for the account, and the vCPU runs.
    var isKept: Bool { last != nil }
}

extension SoftwareCPU {
    /// Before the vCPU executes: what a state that was imported says of the guest's clock, and the first account of steal
    /// time. Only with something enabled does it take any time.
    func beginParavirtual() {
        stealTime.last = nil
        if paravirtualClockIsStale {
            paravirtualClockIsStale = false
            CPU(state).updateParavirtualClock()
        }
        CPU(state).updateStealTime()
    }
}

extension CPU {
    private static let enabled: UInt64 = 1

    /// The bits of an address that structures are aligned to.
    private static func alignment(_ register: UInt32) -> UInt64 { register == KVMRegister.stealTime ? 63 : 3 }

    /// Where a register's structure is; nil if the guest has not enabled it.
    private func structure(_ register: UInt32) -> UInt64? {
        guard let value = owner.storedRegisters[register], value & Self.enabled != 0 else { return nil }
        return value & ~Self.alignment(register)
    }

    /// Writes one of KVM's MSRs; false is #GP(0).
    func setParavirtual(_ register: UInt32, _ value: UInt64) -> Bool {
        switch register {
        case KVMRegister.wallClock: writeWallClock(value & ~Self.alignment(register))
        case KVMRegister.stealTime:
            guard value & 0x3e == 0 else { return false }
        default: break
        }
        owner.storedRegisters[register] = value
        owner.stealTime.last = nil
        updateParavirtualClock()
        updateStealTime()
        return true
    }

    // MARK: Time

    /// The date at the clock's zero: version, seconds, nanoseconds.
    private func writeWallClock(_ address: UInt64) {
        let date = owner.vm.startDate
        let version = UInt32(truncatingIfNeeded: readParavirtual(address, size: 4) | 1)
        writeParavirtual(address, size: 4, UInt64(version))
        writeParavirtual(address &+ 4, size: 4, date / 1_000_000_000)
        writeParavirtual(address &+ 8, size: 4, date % 1_000_000_000)
        writeParavirtual(address, size: 4, UInt64(version &+ 1))
    }

    /// Writes the structure of system time, unless what is there still tells the same: importing a state must not change
    /// memory.
    func updateParavirtualClock() {
        guard let address = structure(KVMRegister.systemTime) else { return }
        // The time is tsc << 1 * 2³¹ >> 32, and the counter's offset from there on.
        let (multiplier, shift, stable): (UInt64, UInt64, UInt64) = (0x8000_0000, 1, 1)
        let scale = multiplier | shift << 32 | stable << 40
        let (counter, time) = (readParavirtual(address &+ 8, size: 8), readParavirtual(address &+ 16, size: 8))
        let version = readParavirtual(address, size: 4)
        let isCurrent = version != 0 && version & 1 == 0 && counter &- time == state.pointee.tsc_offset
        if isCurrent, readParavirtual(address &+ 24, size: 8) == scale { return }
        let now = owner.vm.clock.now()
        let next = UInt32(truncatingIfNeeded: version | 1)
        writeParavirtual(address, size: 4, UInt64(next))
        writeParavirtual(address &+ 4, size: 4, 0)
        writeParavirtual(address &+ 8, size: 8, now &+ state.pointee.tsc_offset)
        writeParavirtual(address &+ 16, size: 8, now)
        writeParavirtual(address &+ 24, size: 8, scale)
        writeParavirtual(address, size: 4, UInt64(next &+ 1))
    }

    // MARK: Steal time

    /// Least time between two accounts, in nanoseconds.
    private static let stealInterval: UInt64 = 1_000_000

    /// Adds what was stolen since the last account, which was made while the vCPU ran, too. In counted time nothing is
    /// ever stolen.
    func updateStealTime() {
        guard owner.vm.clock.source == .host, let address = structure(KVMRegister.stealTime) else { return }
        let time = owner.vm.clock.now()
        let last = owner.stealTime.last
        // Asking for processor time is a system call.
        if let last, time &- last.time < Self.stealInterval { return }
        let processor = Self.processorTime()
        owner.stealTime.last = (processor, time)
        guard let last else { return }
        let (ran, passed) = (processor &- last.processor, time &- last.time)
        guard passed > ran else { return }
        let version = UInt32(truncatingIfNeeded: readParavirtual(address &+ 8, size: 4))
        writeParavirtual(address &+ 8, size: 4, UInt64(version &+ 1))
        writeParavirtual(address, size: 8, readParavirtual(address, size: 8) &+ (passed - ran))
        writeParavirtual(address &+ 8, size: 4, UInt64(version &+ 2))
    }

    /// The thread's processor time in nanoseconds.
    private static func processorTime() -> UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }

    // MARK: Memory

    // Structures are aligned to four bytes at least, so that no field of four crosses a page; one of eight may.

    private func readParavirtual(_ address: UInt64, size: Int) -> UInt64 {
        if size == 8, address & 0xfff > 0xff8 {
            return readParavirtual(address, size: 4) | readParavirtual(address &+ 4, size: 4) << 32
        }
        // Where no memory is there is nothing to read, and no device is asked.
        return slot(containing: address) == nil ? 0 : readPhysical(address, size: size)
    }

    private func writeParavirtual(_ address: UInt64, size: Int, _ value: UInt64) {
        if size == 8, address & 0xfff > 0xff8 {
            writeParavirtual(address, size: 4, value)
            return writeParavirtual(address &+ 4, size: 4, value >> 32)
        }
        guard let slot = slot(containing: address), !slot.pointee.readOnly else { return }
        writePhysical(address, size: size, value: value)
    }
}
