// The 8254, the CMOS clock and the ACPI timer: exact times under a clock that counts.

import Machine
import Testing
import VirtualCPU

/// The first nanosecond at which a counter of the given frequency has made that many steps.
private func time(_ steps: UInt64, hertz: UInt64) -> UInt64 { (steps * 1_000_000_000 + hertz - 1) / hertz }
private let pitHertz: UInt64 = 1_193_182

@Suite struct PITTests {
    private func rig() throws -> Rig {
        let rig = try Rig()
        rig.initialisePICs()
        return rig
    }

    @Test func modeTwoTicksWithoutDrift() throws {
        let rig = try rig()
        rig.clock.advance(to: 12_345)
        rig.output(0x43, 0x34)
        rig.output(0x40, 0x9c, 0x2e)
        #expect(rig.serve() == nil, "programming makes no edge")
        for period in UInt64(1)...100 {
            let due = 12_345 + time(period * 11_932, hertz: pitHertz)
            rig.clock.advance(to: due - 1)
            #expect(rig.serve() == nil)
            rig.clock.advance(to: due)
            #expect(rig.serve() == 0x20, "period \(period)")
        }
    }

    @Test func modeThreeHalves() throws {
        let rig = try rig()
        rig.output(0x43, 0xb6)
        rig.output(0x61, 1)
        rig.output(0x42, 100, 0)
        #expect(rig.input(0x61) & 0x20 != 0)
        rig.clock.advance(to: time(50, hertz: pitHertz))
        #expect(rig.input(0x61) & 0x20 == 0)
        rig.clock.advance(to: time(100, hertz: pitHertz))
        #expect(rig.input(0x61) & 0x20 != 0)
        rig.clock.advance(to: time(110, hertz: pitHertz))
        rig.output(0x43, 0x80)
        #expect(rig.input(0x42) == 80, "counts by two")
        #expect(rig.input(0x42) == 0)
    }

    @Test func modeZeroOnCounterTwoAsLinuxCalibrates() throws {
        let rig = try rig()
        rig.output(0x61, (UInt32(rig.input(0x61)) & ~2) | 1)
        rig.output(0x43, 0xb0)
        rig.output(0x42, 0xff, 0xff)
        let due = time(0xffff, hertz: pitHertz)
        rig.clock.advance(to: due - 1)
        #expect(rig.input(0x61) & 0x20 == 0)
        rig.clock.advance(to: due)
        #expect(rig.input(0x61) & 0x20 != 0)
        // Beyond zero it goes on counting.
        rig.clock.advance(to: time(0xffff + 2, hertz: pitHertz))
        #expect(rig.input(0x42) == 0xfe)
        #expect(rig.input(0x42) == 0xff)
    }

    @Test func modeFourFiresOnce() throws {
        let rig = try rig()
        rig.output(0x43, 0x38)
        rig.output(0x40, 0xe8, 0x03)
        rig.clock.advance(to: time(1001, hertz: pitHertz) - 1)
        #expect(rig.serve() == nil)
        rig.clock.advance(to: time(1001, hertz: pitHertz))
        #expect(rig.serve() == 0x20)
        rig.clock.advance(to: 1_000_000_000)
        #expect(rig.serve() == nil)
        rig.output(0x40, 0xe8, 0x03)
        rig.clock.advance(to: 2_000_000_000)
        #expect(rig.serve() == 0x20)
    }

    @Test func modeZeroOnCounterZero() throws {
        let rig = try rig()
        rig.output(0x43, 0x30)
        rig.output(0x40, 0, 0)
        rig.clock.advance(to: time(65_536, hertz: pitHertz) - 1)
        #expect(rig.serve() == nil)
        rig.clock.advance(to: time(65_536, hertz: pitHertz))
        #expect(rig.serve() == 0x20)
        #expect(rig.clock.nextDeadline() == nil)
    }

    @Test func gateStopsAndTriggers() throws {
        let rig = try rig()
        rig.output(0x61, 1)
        rig.output(0x43, 0xb0)
        rig.output(0x42, 0xe8, 0x03)
        rig.clock.advance(to: time(400, hertz: pitHertz))
        rig.output(0x61, 0)
        rig.clock.advance(to: 10_000_000)
        rig.output(0x43, 0x80)
        #expect(rig.input(0x42) == 0x58, "600")
        #expect(rig.input(0x42) == 0x02)
        rig.output(0x61, 1)
        rig.clock.advance(to: 10_000_000 + time(600, hertz: pitHertz) - 1000)
        #expect(rig.input(0x61) & 0x20 == 0)
        rig.clock.advance(to: 10_000_000 + time(600, hertz: pitHertz) + 1000)
        #expect(rig.input(0x61) & 0x20 != 0)
        // Mode 1: a rise of the gate starts a one-shot.
        rig.output(0x61, 0)
        rig.output(0x43, 0xb2)
        rig.output(0x42, 100, 0)
        #expect(rig.input(0x61) & 0x20 != 0)
        rig.output(0x61, 1)
        #expect(rig.input(0x61) & 0x20 == 0)
        rig.clock.advance(to: rig.clock.now() + time(100, hertz: pitHertz))
        #expect(rig.input(0x61) & 0x20 != 0)
    }

    @Test func latchesReadBackAndBCD() throws {
        let rig = try rig()
        rig.output(0x43, 0x35)
        rig.output(0x43, 0xe2)
        #expect(rig.input(0x40) == 0xf5, "null count: nothing loaded")
        rig.output(0x40, 0x00, 0x10)
        rig.clock.advance(to: time(1, hertz: pitHertz))
        rig.output(0x43, 0xc2)
        rig.clock.advance(to: time(500, hertz: pitHertz))
        #expect(rig.input(0x40) == 0xb5, "status first")
        #expect(rig.input(0x40) == 0x99)
        #expect(rig.input(0x40) == 0x09, "999 in BCD, as latched")
        #expect(rig.input(0x40) == 0x00)
        #expect(rig.input(0x40) == 0x05, "500 now")
        rig.output(0x43, 0x14)
        rig.output(0x40, 77)
        #expect(rig.input(0x40) == 77, "low byte only")
        #expect(rig.input(0x43) == 0xff)
    }

    @Test func aNewCountWaitsForThePeriod() throws {
        let rig = try rig()
        rig.output(0x43, 0x34)
        rig.output(0x40, 0xe8, 0x03)
        rig.clock.advance(to: time(300, hertz: pitHertz))
        rig.output(0x40, 0xd0, 0x07)
        let change = time(1000, hertz: pitHertz)
        rig.clock.advance(to: change - 1)
        #expect(rig.serve() == nil)
        rig.clock.advance(to: change)
        #expect(rig.serve() == 0x20)
        rig.clock.advance(to: change + time(2000, hertz: pitHertz) - 1)
        #expect(rig.serve() == nil)
        rig.clock.advance(to: change + time(2000, hertz: pitHertz))
        #expect(rig.serve() == 0x20)
    }

    @Test func refreshBitToggles() throws {
        let rig = try rig()
        var changes = 0
        var last = rig.input(0x61) & 0x10
        for step in UInt64(1)...1000 {
            rig.clock.advance(to: step * 1000)
            let now = rig.input(0x61) & 0x10
            if now != last { changes += 1 }
            last = now
        }
        #expect(changes == 1_000_000 / 15_085)
    }

    @Test func tinyCountsDoNotHang() throws {
        let rig = try rig()
        for count in [1, 2, 3] as [UInt32] {
            rig.output(0x43, 0x14)
            rig.output(0x40, count)
            rig.clock.advance(to: rig.clock.now() + 1_000_000)
            #expect(rig.serve() == 0x20)
        }
    }
}

@Suite struct CMOSTests {
    private func date(_ rig: Rig) -> [UInt8] { [0x32, 9, 8, 7, 4, 2, 0].map { rig.cmos($0) } }

    @Test func runsOverALeapDay() throws {
        let rig = try Rig()
        #expect(date(rig) == [0x20, 0x24, 0x02, 0x28, 0x23, 0x59, 0x50])
        #expect(rig.cmos(6) == 4, "a Wednesday")
        rig.clock.advance(to: 9_999_999_999)
        #expect(rig.cmos(0x0a) & 0x80 != 0, "update in progress")
        #expect(date(rig) == [0x20, 0x24, 0x02, 0x28, 0x23, 0x59, 0x59])
        rig.clock.advance(to: 10_000_000_000)
        #expect(rig.cmos(0x0a) & 0x80 == 0)
        #expect(date(rig) == [0x20, 0x24, 0x02, 0x29, 0, 0, 0])
        rig.clock.advance(to: 86_410_000_000_000)
        #expect(date(rig) == [0x20, 0x24, 0x03, 0x01, 0, 0, 0])
    }

    @Test func encodings() throws {
        let rig = try Rig()
        rig.setCMOS(0x0b, 0x06)
        #expect(date(rig) == [20, 24, 2, 28, 23, 59, 50])
        rig.setCMOS(0x0b, 0x00)
        #expect(rig.cmos(4) == 0x91, "11 PM in BCD")
        rig.setCMOS(0x0b, 0x04)
        #expect(rig.cmos(4) == 0x8b)
        rig.clock.advance(to: 10_000_000_000)
        #expect(rig.cmos(4) == 12, "midnight")
        rig.setCMOS(4, 0x8c)
        rig.setCMOS(0x0b, 0x06)
        #expect(rig.cmos(4) == 12, "noon")
    }

    @Test func settingTheDate() throws {
        let rig = try Rig()
        rig.setCMOS(0x0b, 0x82)
        for (index, value) in [(0, 0x30), (2, 0x58), (4, 0x23), (7, 0x31), (8, 0x12), (9, 0x99), (0x32, 0x19)]
            as [(UInt32, UInt32)]
        { rig.setCMOS(index, value) }
        rig.clock.advance(to: 5_500_000_000)
        #expect(date(rig) == [0x19, 0x99, 0x12, 0x31, 0x23, 0x58, 0x30], "nothing moves while SET is set")
        rig.setCMOS(0x0b, 0x02)
        rig.clock.advance(to: 95_500_000_000)
        #expect(date(rig) == [0x20, 0, 1, 1, 0, 0, 0])
        rig.setCMOS(2, 0x45)
        #expect(date(rig) == [0x20, 0, 1, 1, 0, 0x45, 0])
        rig.setCMOS(8, 0xff)
        #expect(rig.cmos(8) == 0x12, "limited")
    }

    @Test func dividerResetAlignsTheSecond() throws {
        let rig = try Rig()
        rig.clock.advance(to: 300_000_000)
        rig.setCMOS(0x0a, 0x76)
        rig.clock.advance(to: 700_000_000)
        rig.setCMOS(0x0a, 0x26)
        rig.clock.advance(to: 1_199_999_999)
        #expect(rig.cmos(0) == 0x50)
        rig.clock.advance(to: 1_200_000_000)
        #expect(rig.cmos(0) == 0x51)
    }

    @Test func periodicInterruptIsExact() throws {
        let rig = try Rig()
        rig.initialisePICs()
        rig.setCMOS(0x0b, 0x42)
        for tick in UInt64(1)...50 {
            let due = time(tick, hertz: 1024)
            rig.clock.advance(to: due - 1)
            #expect(rig.serve() == nil)
            rig.clock.advance(to: due)
            #expect(rig.serve() == 0x28, "tick \(tick)")
            #expect(rig.cmos(0x0c) == 0xc0)
        }
        rig.clock.advance(to: 1_000_000_000)
        #expect(rig.serve() == 0x28)
        #expect(rig.serve() == nil, "the line stays up until register C is read")
        #expect(rig.cmos(0x0c) & 0xc0 == 0xc0)
        #expect(rig.cmos(0x0c) == 0)
    }

    @Test func updateAndAlarmInterrupts() throws {
        let rig = try Rig()
        rig.initialisePICs()
        rig.setCMOS(0x0b, 0x12)
        rig.clock.advance(to: 1_000_000_000)
        #expect(rig.serve() == 0x28)
        #expect(rig.cmos(0x0c) & 0xb0 == 0x90)
        for (index, value) in [(1, 0x05), (3, 0xff), (5, 0x00)] as [(UInt32, UInt32)] { rig.setCMOS(index, value) }
        rig.setCMOS(0x0b, 0x22)
        rig.clock.advance(to: 14_999_999_999)
        #expect(rig.serve() == nil)
        rig.clock.advance(to: 15_000_000_000)
        #expect(rig.serve() == 0x28, "00:00:05")
        #expect(rig.cmos(0x0c) & 0xa0 == 0xa0)
        rig.clock.advance(to: 75_000_000_000)
        #expect(rig.serve() == 0x28, "00:01:05: any minute")
        rig.setCMOS(5, 0x77)
        #expect(rig.cmos(0x0c) & 0x20 != 0)
        #expect(rig.clock.nextDeadline() == nil, "hour 77 never comes")
    }

    @Test func flagsAreSetWithoutInterrupts() throws {
        let rig = try Rig()
        rig.clock.advance(to: 1_500_000_000)
        #expect(rig.cmos(0x0c) == 0x50)
        #expect(rig.cmos(0x0c) == 0)
        #expect(rig.cmos(0x0d) == 0x80)
    }

    @Test func memorySize() throws {
        let rig = try Rig()
        #expect([0x15, 0x16].map { rig.cmos($0) } == [0x80, 0x02], "640 KiB")
        #expect([0x30, 0x31].map { rig.cmos($0) } == [0x00, 0xfc], "63 MiB")
        #expect([0x34, 0x35].map { rig.cmos($0) } == [0x00, 0x03], "48 MiB in 64-KiB units")
        #expect([0x5b, 0x5c, 0x5d].map { rig.cmos($0) } == [0, 0, 0])
        rig.setCMOS(0x40, 0x5a)
        #expect(rig.cmos(0xc0) == 0x5a, "bit 7 of the index is not part of it")
    }
}

@Suite struct PowerManagementTests {
    @Test func timerCounts() throws {
        let (wide, narrow) = (try Rig(), try Rig(wideTimer: false))
        for rig in [wide, narrow] { rig.clock.advance(to: 10_000_000_000) }
        #expect(wide.input32(0x608) == 35_795_450)
        #expect(narrow.input32(0x608) == 35_795_450 & 0xff_ffff)
        #expect(wide.input(0x609) == 35_795_450 >> 8 & 0xff)
    }

    @Test func timerCarryRaisesSCI() throws {
        let rig = try Rig(wideTimer: false)
        rig.initialisePICs()
        rig.output(0x4d1, 0x02)
        rig.bus.writePort(0x602, size: 2, value: 1)
        let due = time(1 << 23, hertz: 3_579_545)
        rig.clock.advance(to: due - 1)
        #expect(rig.bus.readPort(0x600, size: 2) == 0)
        rig.clock.advance(to: due)
        #expect(rig.serve() == 0x29)
        #expect(rig.serve() == 0x29, "level-triggered")
        rig.bus.writePort(0x600, size: 2, value: 1)
        #expect(rig.serve() == nil)
        #expect(rig.clock.nextDeadline() == time(1 << 24, hertz: 3_579_545))
    }

    @Test func powerButton() throws {
        let rig = try Rig()
        rig.initialisePICs()
        rig.power.pressPowerButton()
        #expect(rig.bus.readPort(0x600, size: 4) == 0x0100)
        #expect(rig.serve() == nil)
        rig.output(0x603, 0x01)
        #expect(rig.serve() == 0x29)
        rig.output(0x601, 0x01)
        #expect(rig.bus.readPort(0x600, size: 4) == 0x0100_0000)
    }

    @Test func enablesReadBack() throws {
        let rig = try Rig()
        for bit in [0, 5, 8, 10] as [UInt32] {
            rig.bus.writePort(0x602, size: 2, value: 1 << bit)
            #expect(rig.bus.readPort(0x602, size: 2) == 1 << bit, "ACPICA checks what it enables")
        }
        rig.bus.writePort(0x602, size: 2, value: 0xffff)
        #expect(rig.bus.readPort(0x600, size: 4) == 0x0521_0000)
    }

    @Test func softOff() throws {
        let rig = try Rig()
        #expect(rig.bus.readPort(0x604, size: 2) == 1, "SCI_EN")
        rig.bus.writePort(0x604, size: 2, value: 0x1400)
        #expect(rig.events.isEmpty)
        rig.bus.writePort(0x604, size: 2, value: 0x2000)
        #expect(rig.events.isEmpty, "type 0 is not soft-off")
        rig.bus.writePort(0x604, size: 2, value: 0x3400)
        #expect(rig.events == [.powerOff])
        #expect(rig.bus.readPort(0x604, size: 2) == 0x1401)
    }
}
