// The local APIC's timer, to the nanosecond.

import LocalAPIC
import Testing
import VirtualCPU

@Suite struct TimerTests {
    @Test(arguments: [(0, 2), (1, 4), (2, 8), (3, 16), (8, 32), (9, 64), (10, 128), (11, 1)] as [(UInt32, UInt64)])
    func oneShotFiresExactly(divide: UInt32, divisor: UInt64) {
        let f = Fixture()
        f.clock.advance(to: 77)
        f.apic.writeRegister(offset: Offset.divide, value: divide)
        f.apic.writeRegister(offset: Offset.lvtTimer, value: 0x41)
        f.apic.writeRegister(offset: Offset.initialCount, value: 1000)
        #expect(f.apic.readRegister(offset: Offset.currentCount) == 1000)
        #expect(f.clock.nextDeadline() == 77 + 1000 * divisor)
        f.clock.advance(to: 77 + 10 * divisor)
        #expect(f.apic.readRegister(offset: Offset.currentCount) == 990)
        f.clock.advance(to: 76 + 1000 * divisor)
        #expect(f.take() == nil)
        #expect(f.apic.readRegister(offset: Offset.currentCount) == 1)
        f.clock.advance(to: 77 + 1000 * divisor)
        #expect(f.take() == 0x41)
        #expect(f.apic.readRegister(offset: Offset.currentCount) == 0)
        #expect(f.clock.nextDeadline() == nil)
    }

    @Test func periodicKeepsStep() {
        let f = Fixture()
        f.apic.writeRegister(offset: Offset.divide, value: 11)
        f.apic.writeRegister(offset: Offset.lvtTimer, value: 0x2_0041)
        f.apic.writeRegister(offset: Offset.initialCount, value: 5000)
        for period in UInt64(1)...10 {
            f.clock.advance(to: period * 5000 - 1)
            #expect(f.take() == nil)
            f.clock.advance(to: period * 5000)
            #expect(f.take() == 0x41)
            f.endOfInterrupt()
        }
        f.clock.advance(to: 53_000)
        #expect(f.apic.readRegister(offset: Offset.currentCount) == 2000)
        f.apic.writeRegister(offset: Offset.initialCount, value: 0)
        #expect(f.clock.nextDeadline() == nil)
    }

    @Test func periodicCountsOnBeforeItHasFired() {
        let f = Fixture()
        f.apic.writeRegister(offset: Offset.divide, value: 11)
        f.apic.writeRegister(offset: Offset.lvtTimer, value: 0x2_0041)
        f.apic.writeRegister(offset: Offset.initialCount, value: 5000)
        // Time passes, and whoever fires timers has had no chance yet.
        f.clock.set(to: 5000)
        #expect(f.apic.readRegister(offset: Offset.currentCount) == 5000)
        f.clock.set(to: 12_000)
        #expect(f.apic.readRegister(offset: Offset.currentCount) == 3000)
    }

    @Test func countThatHasEndedIsNotTakenUpAgain() {
        let f = Fixture()
        f.apic.writeRegister(offset: Offset.divide, value: 11)
        f.apic.writeRegister(offset: Offset.lvtTimer, value: 0x41)
        f.apic.writeRegister(offset: Offset.initialCount, value: 5000)
        f.clock.set(to: 6000)
        f.apic.writeRegister(offset: Offset.lvtTimer, value: 0x2_0041)
        #expect(f.apic.readRegister(offset: Offset.currentCount) == 0)
        #expect(f.take() == 0x41)
        #expect(f.clock.nextDeadline() == nil)
    }

    @Test func veryShortPeriodsMerge() {
        let f = Fixture()
        f.apic.writeRegister(offset: Offset.divide, value: 11)
        f.apic.writeRegister(offset: Offset.lvtTimer, value: 0x2_0041)
        f.apic.writeRegister(offset: Offset.initialCount, value: 1)
        let before = f.attentions
        f.clock.advance(to: 1_000_000)
        #expect(f.attentions - before <= 1001)
        #expect(f.take() == 0x41)
    }

    @Test func maskedTimerCountsInSilence() {
        let f = Fixture()
        f.apic.writeRegister(offset: Offset.lvtTimer, value: 0x1_0041)
        f.apic.writeRegister(offset: Offset.initialCount, value: 100)
        f.clock.advance(to: 1000)
        #expect(f.apic.pendingInterrupt() == nil)
        f.apic.writeRegister(offset: Offset.lvtTimer, value: 0x41)
        #expect(f.apic.pendingInterrupt() == nil, "an expiry while masked is lost")
    }

    @Test func changingTheDivisorKeepsTheCount() {
        let f = Fixture()
        f.apic.writeRegister(offset: Offset.divide, value: 11)
        f.apic.writeRegister(offset: Offset.lvtTimer, value: 0x41)
        f.apic.writeRegister(offset: Offset.initialCount, value: 1000)
        f.clock.advance(to: 400)
        f.apic.writeRegister(offset: Offset.divide, value: 0)
        #expect(f.apic.readRegister(offset: Offset.currentCount) == 600)
        #expect(f.clock.nextDeadline() == 400 + 1200)
    }

    @Test func tscDeadline() {
        let f = Fixture()
        f.apic.tscDeadline = 500
        #expect(f.apic.tscDeadline == 0, "ignored outside of its mode")
        f.apic.setTSCOffset(1_000_000)
        f.apic.writeRegister(offset: Offset.lvtTimer, value: 0x4_0041)
        f.apic.writeRegister(offset: Offset.initialCount, value: 9)
        #expect(f.apic.readRegister(offset: Offset.initialCount) == 0)
        f.apic.tscDeadline = 1_002_000
        #expect(f.clock.nextDeadline() == 2000)
        f.apic.setTSCOffset(1_001_000)
        #expect(f.clock.nextDeadline() == 1000)
        f.clock.advance(to: 999)
        #expect(f.take() == nil)
        #expect(f.apic.tscDeadline == 1_002_000)
        f.clock.advance(to: 1000)
        #expect(f.take() == 0x41)
        #expect(f.apic.tscDeadline == 0)
        f.endOfInterrupt()
        f.apic.tscDeadline = 5
        #expect(f.take() == 0x41, "a deadline in the past fires at once")
        f.endOfInterrupt()
        f.apic.tscDeadline = .max
        f.clock.advance(to: 1 << 40)
        #expect(f.take() == nil)
        f.apic.writeRegister(offset: Offset.lvtTimer, value: 0x41)
        #expect(f.clock.nextDeadline() == nil)
        #expect(f.apic.tscDeadline == 0)
    }

    @Test func resetStopsIt() {
        let f = Fixture()
        f.apic.writeRegister(offset: Offset.lvtTimer, value: 0x41)
        f.apic.writeRegister(offset: Offset.initialCount, value: 1000)
        f.apic.reset()
        #expect(f.clock.nextDeadline() == nil)
        #expect(f.apic.readRegister(offset: Offset.lvtTimer) == 0x1_0000)
    }
}
