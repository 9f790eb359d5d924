// The guest's time-stamp counter counts the machine's time, which stands while the machine does; the CPU's own runs on. The
// difference goes into the counter's offset, the same on all vCPUs: Linux gives the counter up if they differ by a cycle.

import CKVM
import Foundation
import Synchronization
import VirtualCPU

/// What the vCPUs of a VM go by.
struct TimeReference {
    /// Host time minus the machine's, in nanoseconds, as everybody is to take it.
    private var gap: UInt64?
    /// A counter, its offset and the time at which they belonged together.
    private var reference: (counter: UInt64, offset: UInt64, clock: UInt64, gap: UInt64)?

    /// The gap by which kvmclock was last set; nil if it never was.
    private var clockGap: UInt64?

    /// Reading two clocks takes time: what differs by less than this, in nanoseconds, is no difference.
    private static let jitter: UInt64 = 20_000

    /// The gap now.
    mutating func currentGap(_ clock: Clock) -> UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        let host = UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
        let now = host &- clock.now()
        guard let old = gap, min(now &- old, old &- now) <= Self.jitter else {
            gap = now
            return now
        }
        return old
    }

    /// Whether kvmclock does not go by this gap yet. From now on it does.
    mutating func takeClockGap(_ gap: UInt64) -> Bool {
        defer { clockGap = gap }
        return clockGap != gap
    }

    /// The offset with which the counter is `counter` now. `measured` finds one out when there is nothing to go by.
    mutating func offset(
        for counter: UInt64, _ clock: Clock, _ frequency: UInt64, measured: () throws(EngineError) -> UInt64
    ) throws(EngineError) -> UInt64 {
        let gap = currentGap(clock)
        let now = clock.now()
        guard let base = reference else {
            let offset = try measured()
            reference = (counter, offset, now, gap)
            return offset
        }
        let expected = base.counter &+ Self.cycles(now &- base.clock, frequency)
        return base.offset &+ (counter &- expected) &- Self.cycles(gap &- base.gap, frequency)
    }

    /// The counter whose offset is `offset`, as it was set when the gap was `followed`; nil without a reference.
    mutating func counter(offset: UInt64, followed: UInt64, _ clock: Clock, _ frequency: UInt64) -> UInt64? {
        guard let base = reference else { return nil }
        return base.counter &+ Self.cycles(clock.now() &- base.clock, frequency) &+ (offset &- base.offset)
            &+ Self.cycles(followed &- base.gap, frequency)
    }

    /// Cycles in a span of nanoseconds, which may be negative in two's complement.
    static func cycles(_ span: UInt64, _ frequency: UInt64) -> UInt64 {
        let signed = Int64(bitPattern: span)
        let (quotient, _) = UInt64(1_000_000_000).dividingFullWidth(
            signed.magnitude.multipliedFullWidth(by: frequency))
        return signed < 0 ? 0 &- quotient : quotient
    }
}

extension KVMVM {
    /// Before a vCPU runs on: the gap now; and kvmclock, if guests are offered it, tells the machine's time again.
    fileprivate func followTime() throws(EngineError) -> UInt64 {
        try time.withLock { time throws(EngineError) in
            let gap = time.currentGap(clock)
            guard paravirtualFeatures != nil, capabilities.has(.clock), time.takeClockGap(gap) else { return gap }
            let call: KVMCall = "KVM_SET_CLOCK"
            var data = kvm_clock_data()
            data.clock = clock.now()
            try call.check(retrying { ckvm_set_clock(descriptor.number, &data) })
            return gap
        }
    }
}

extension KVMVCPU {
    private static let counterMSR: UInt32 = 0x10

    private var hasOffset: Bool { vm.capabilities.has(.attributes) }

    private func offset() throws(EngineError) -> UInt64 {
        var offset: UInt64 = 0
        let call: KVMCall = "KVM_GET_DEVICE_ATTR of KVM_VCPU_TSC_OFFSET"
        try call.check(retrying { ckvm_get_tsc_offset(descriptor.number, &offset) })
        return offset
    }

    private func setOffset(_ offset: UInt64) throws(EngineError) {
        let call: KVMCall = "KVM_SET_DEVICE_ATTR of KVM_VCPU_TSC_OFFSET"
        try call.check(retrying { ckvm_set_tsc_offset(descriptor.number, offset) })
    }

    /// Sets the time-stamp counter as of the machine's present time.
    func setTimeStampCounter(_ counter: UInt64) throws(EngineError) {
        guard hasOffset else {
            followedGap = vm.time.withLock { $0.currentGap(vm.clock) }
            return try setMSR(Self.counterMSR, counter)
        }
        let (offset, gap) = try vm.time.withLock { time throws(EngineError) in
            let offset = try time.offset(for: counter, vm.clock, tscFrequency) { () throws(EngineError) in
                try self.offset() &+ counter &- self.msr(Self.counterMSR)
            }
            return (offset, time.currentGap(vm.clock))
        }
        try setOffset(offset)
        counterIsFixed = try self.offset() != offset
        followedGap = gap
    }

    /// The time-stamp counter as of the machine's present time.
    func timeStampCounter() throws(EngineError) -> UInt64 {
        if hasOffset, !counterIsFixed {
            let offset = try offset()
            let counter = vm.time.withLock { $0.counter(offset: offset, followed: followedGap, vm.clock, tscFrequency) }
            if let counter { return counter }
        }
        guard !counterIsFixed else { return try msr(Self.counterMSR) }
        let gap = vm.time.withLock { $0.currentGap(vm.clock) }
        return try msr(Self.counterMSR) &- TimeReference.cycles(gap &- followedGap, tscFrequency)
    }

    /// Before the guest runs on: takes out of the counter what went by while the machine stood.
    func followTime() throws(EngineError) {
        let gap = try vm.followTime()
        guard gap != followedGap, !counterIsFixed else { return }
        let stood = TimeReference.cycles(gap &- followedGap, tscFrequency)
        if hasOffset {
            try setOffset(offset() &- stood)
        } else {
            try setMSR(Self.counterMSR, msr(Self.counterMSR) &- stood)
        }
        followedGap = gap
    }
}

// MARK: TSC deadlines

extension KVMVCPU {
    /// The deadline of the local APIC's timer, in cycles; 0 for none.
    func tscDeadline() throws(EngineError) -> UInt64 {
        guard let held = heldDeadline else {
            return vm.capabilities.has(.tscDeadline) ? try msr(MSRNumber.tscDeadline) : 0
        }
        return counterIsFixed ? try timeStampCounter() &+ (held.deadline &- held.counter) : held.deadline
    }

    /// The kernel's timers know of no pause: a machine that is to stand takes the deadline away. A single register can be
    /// written with nothing lost, unlike the local APIC as a whole, so that counting timers stay as they are.
    func holdDeadline() throws(EngineError) {
        let deadline = try tscDeadline()
        guard deadline != 0 else { return }
        heldDeadline = (deadline, try timeStampCounter())
        try setMSR(MSRNumber.tscDeadline, 0)
    }

    /// Gives it back.
    func releaseDeadline() throws(EngineError) {
        guard heldDeadline != nil else { return }
        try setMSR(MSRNumber.tscDeadline, tscDeadline())
        heldDeadline = nil
    }

    /// The deadline of a state that has been imported: IA32_TSC_DEADLINE counts only when the local APIC's timer is in that
    /// mode, so after the local APIC.
    func importTSCDeadline(_ state: CPUState) throws(EngineError) {
        heldDeadline = nil
        let deadline = state.localAPIC.tscDeadline
        guard deadline != 0 else { return }
        let shift = counterIsFixed ? try timeStampCounter() &- state.tsc : 0
        try setMSR(MSRNumber.tscDeadline, deadline &+ shift)
    }
}
