// Registers in both modes, the mode transitions, state, and random accesses.

import LocalAPIC
import TestSupport
import Testing
import VirtualCPU

@Suite struct RegisterTests {
    @Test func resetValues() {
        let f = Fixture(id: 2, enabled: false)
        #expect(f.apic.readRegister(offset: Offset.id) == 2 << 24)
        #expect(f.apic.readRegister(offset: 0x30) == 0x0005_0014)
        #expect(f.apic.readRegister(offset: Offset.destinationFormat) == 0xffff_ffff)
        #expect(f.apic.readRegister(offset: Offset.spurious) == 0xff)
        for lvt in stride(from: Offset.lvtTimer, through: Offset.lvtError, by: 16) {
            #expect(f.apic.readRegister(offset: lvt) == 0x1_0000)
        }
        #expect(f.apic.baseMSR == 0xfee0_0800)
        #expect(f.apic.mmioBase == 0xfee0_0000)
    }

    @Test func reservedBitsReadBackAsZero() {
        let f = Fixture()
        let written: [(UInt32, UInt32)] = [
            (Offset.taskPriority, 0xff), (Offset.logicalDestination, 0xff00_0000), (Offset.spurious, 0x3ff),
            (Offset.lvtTimer, 0x0007_00ff), (0x330, 0x107ff), (0x340, 0x107ff), (Offset.lvtLINT0, 0x1a7ff),
            (0x360, 0x1a7ff), (Offset.lvtError, 0x100ff), (Offset.divide, 0xb), (Offset.commandHigh, 0xff00_0000),
        ]
        for (offset, expected) in written {
            f.apic.writeRegister(offset: offset, value: 0xffff_ffff)
            #expect(f.apic.readRegister(offset: offset) == expected, "offset \(offset)")
        }
    }

    @Test func softwareDisabledKeepsEntriesMasked() {
        let f = Fixture(enabled: false)
        f.apic.writeRegister(offset: Offset.lvtTimer, value: 0x31)
        #expect(f.apic.readRegister(offset: Offset.lvtTimer) == 0x1_0031)
        f.apic.writeRegister(offset: Offset.spurious, value: 0x1ff)
        f.apic.writeRegister(offset: Offset.lvtTimer, value: 0x31)
        #expect(f.apic.readRegister(offset: Offset.lvtTimer) == 0x31)
        f.apic.writeRegister(offset: Offset.spurious, value: 0xff)
        #expect(f.apic.readRegister(offset: Offset.lvtTimer) == 0x1_0031)
    }

    // MARK: IA32_APIC_BASE

    @Test func baseTransitions() {
        let f = Fixture()
        let base: UInt64 = 0xfee0_0100
        let (enable, x2): (UInt64, UInt64) = (1 << 11, 1 << 10)
        #expect(!f.apic.setBaseMSR(base | x2), "x2APIC without enable")
        #expect(!f.apic.setBaseMSR(base | enable | 1), "reserved bit")
        #expect(!f.apic.setBaseMSR(base | enable | 1 << 52), "reserved bit")
        #expect(f.apic.readMSR(0x802) == nil, "no MSRs in xAPIC mode")
        #expect(!f.apic.writeMSR(0x808, 0))
        #expect(f.apic.setBaseMSR(base | enable | x2))
        #expect(f.apic.mmioBase == nil)
        #expect(!f.apic.setBaseMSR(base | enable), "x2APIC to xAPIC")
        #expect(f.apic.setBaseMSR(base))
        #expect(!f.apic.setBaseMSR(base | enable | x2), "disabled to x2APIC")
        #expect(f.apic.setBaseMSR(0xfec1_0000 | enable))
        #expect(f.apic.mmioBase == 0xfec1_0000)
        #expect(f.apic.readRegister(offset: Offset.spurious) == 0xff, "disabling reset the registers")
    }

    // MARK: x2APIC

    @Test func x2APICRegisterRules() {
        let f = Fixture(id: 0x25)
        #expect(f.enterX2APIC())
        #expect(f.apic.readMSR(0x802) == 0x25)
        #expect(f.apic.readMSR(0x80d) == 2 << 16 | 1 << 5)
        let notReadable: [UInt32] = [
            0x800, 0x801, 0x809, 0x80b, 0x80c, 0x80e, 0x829, 0x82f, 0x831, 0x83a, 0x83f, 0x840,
        ]
        for msr in notReadable { #expect(f.apic.readMSR(msr) == nil, "\(msr)") }
        let notWritable: [UInt32] = [0x802, 0x803, 0x80a, 0x80d, 0x80e, 0x810, 0x818, 0x820, 0x831, 0x839, 0x7ff]
        for msr in notWritable { #expect(!f.apic.writeMSR(msr, 0), "\(msr)") }
        let reserved: [(UInt32, UInt64)] = [
            (0x808, 0x100), (0x80b, 1), (0x80f, 1 << 32), (0x80f, 1 << 10), (0x828, 1), (0x830, 1 << 20),
            (0x832, 1 << 19),
            (0x835, 1 << 17), (0x838, 1 << 32), (0x83e, 4), (0x83f, 0x100),
        ]
        for (msr, value) in reserved { #expect(!f.apic.writeMSR(msr, value), "\(msr)") }
        #expect(f.apic.writeMSR(0x80f, 0x1ff))
        #expect(f.apic.writeMSR(0x83f, 0x55))
        #expect(f.take() == 0x55, "self IPI")
        #expect(f.apic.readMSR(0x812) == 1 << 21)
        #expect(f.apic.writeMSR(0x80b, 0))
        #expect(f.apic.readMSR(0x812) == 0)
    }

    @Test func x2APICDestinations() {
        let f = Fixture(id: 0x125)
        #expect(f.enterX2APIC())
        #expect(f.apic.matches(destination: 0x125, logical: false))
        #expect(!f.apic.matches(destination: 0x25, logical: false))
        #expect(f.apic.matches(destination: 0xffff_ffff, logical: false))
        #expect(f.apic.matches(destination: 0x12_0020, logical: true))
        #expect(!f.apic.matches(destination: 0x12_0010, logical: true))
        #expect(!f.apic.matches(destination: 0x13_0020, logical: true))
        #expect(f.apic.writeMSR(0x830, 0x125 << 32 | 0x47))
        #expect(f.take() == 0x47)
        #expect(f.apic.readMSR(0x830) == 0x125 << 32 | 0x47)
    }

    // MARK: State

    @Test func stateMovesWhole() {
        let f = Fixture(id: 1)
        f.apic.writeRegister(offset: Offset.lvtTimer, value: 0x2_0041)
        f.apic.writeRegister(offset: Offset.initialCount, value: 1000)
        f.apic.writeRegister(offset: Offset.lvtLINT0, value: 0x700)
        f.apic.post(vector: 0x51, levelTriggered: true)
        #expect(f.take() == 0x51)
        f.apic.post(vector: 0x61, levelTriggered: false)
        f.apic.post(vector: 3, levelTriggered: false)
        f.apic.postNMI()
        #expect(f.apic.accept(msiAddress: 0xfee0_1000, data: 0x500))
        #expect(f.apic.accept(msiAddress: 0xfee0_1000, data: 0x677))
        f.apic.setLINT0(true)
        f.clock.advance(to: 300)
        let state = f.apic.exportState()
        #expect(state == f.apic.exportState(), "exporting changes nothing")

        let g = Fixture(id: 0, enabled: false)
        g.clock.set(to: 300)
        #expect(g.apic.importState(state))
        #expect(g.apic.exportState() == state)
        #expect(g.apic.pendingInterrupt() == .external)
        g.apic.setLINT0(false)
        #expect(g.take() == 0x61)
        g.endOfInterrupt()
        g.endOfInterrupt()
        #expect(g.endOfInterrupts == [0x51])
        #expect(g.apic.takeNMI())
        g.clock.advance(to: 1999)
        #expect(g.apic.readRegister(offset: Offset.currentCount) == 1, "two nanoseconds a count")
        g.clock.advance(to: 2000)
        #expect(g.take() == 0x41)
        #expect(g.clock.nextDeadline() == 4000)
        #expect(g.apic.takeINIT())
        #expect(g.apic.takeSIPI() == 0x77)

        var malformed = state
        malformed.registers.removeLast()
        #expect(!g.apic.importState(malformed))
    }

    /// Random accesses of every kind never trap, and what is exported always goes in again unchanged.
    @Test(arguments: [1, 2, 3] as [UInt64]) func randomAccesses(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        let f = Fixture(id: UInt32.random(in: 0..<0x200, using: &random))
        for step in 0..<fuzzCases {
            let value = UInt32.random(in: 0...UInt32.max, using: &random) >> UInt32.random(in: 0..<32, using: &random)
            let offset = UInt32.random(in: 0..<0x41, using: &random) << 4 | (value & 0x30 == 0 ? value & 0xf : 0)
            switch UInt32.random(in: 0..<16, using: &random) {
            case 0...3: f.apic.writeRegister(offset: offset, value: value)
            case 4, 5: _ = f.apic.readRegister(offset: offset)
            case 6: _ = f.apic.writeMSR(0x800 + offset >> 4, UInt64(value))
            case 7: _ = f.apic.readMSR(0x800 + offset >> 4)
            case 8: _ = f.apic.setBaseMSR(0xfee0_0000 | UInt64(value & 0xd00))
            case 9: _ = f.apic.accept(msiAddress: 0xfee0_0000 | UInt64(value & 0xf_ffff), data: value >> 3)
            case 10: _ = f.take()
            case 11: f.apic.setLINT0(value & 1 != 0)
            case 12:
                if f.apic.takeINIT() { _ = f.apic.takeSIPI() }
                _ = f.apic.takeNMI()
            case 13: f.apic.tscDeadline = UInt64(value) &* UInt64(value)
            case 14: f.apic.setTSCOffset(UInt64(value) &* 0x1_0000_0001)
            default: f.clock.advance(to: f.clock.now() + UInt64(value & 0xffff))
            }
            if step % 1000 == 0 {
                let state = f.apic.exportState()
                #expect(f.apic.importState(state))
                #expect(f.apic.exportState() == state, "seed \(seed), step \(step)")
            }
        }
    }
}
