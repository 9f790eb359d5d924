// The 8259A pair, the I/O APIC, and the lines that lead to them.

import Machine
import Testing
import VirtualCPU

@Suite struct PICTests {
    /// A rig whose PICs are initialised, with a line for each of some inputs.
    private func rig(_ inputs: [Int]) throws -> (Rig, [Int: InterruptLine]) {
        let rig = try Rig()
        rig.initialisePICs()
        var lines: [Int: InterruptLine] = [:]
        for input in inputs { lines[input] = rig.interrupts.line(input, name: "test \(input)") }
        return (rig, lines)
    }

    @Test func edgesAreServedByPriority() throws {
        let (rig, lines) = try rig([1, 3, 5, 12])
        for input in [5, 12, 3] { lines[input]?.set(true) }
        #expect(rig.acknowledge() == 0x2c, "the secondary sits on input 2")
        #expect(rig.acknowledge() == nil)
        lines[1]?.set(true)
        #expect(rig.acknowledge() == 0x21, "input 1 interrupts")
        rig.output(0x20, 0x20)
        #expect(rig.acknowledge() == nil)
        rig.output(0xa0, 0x20)
        rig.output(0x20, 0x20)
        #expect(rig.serve() == 0x23)
        #expect(rig.serve() == 0x25)
        #expect(rig.serve() == nil)
        lines[3]?.set(true)
        #expect(rig.serve() == nil, "still the same edge")
        lines[3]?.raiseEdge()
        #expect(rig.serve() == 0x23)
    }

    @Test func masksAndRegisters() throws {
        let (rig, lines) = try rig([4, 6, 15])
        rig.output(0x21, 0x10)
        lines[4]?.set(true)
        lines[15]?.set(true)
        #expect(rig.input(0x21) == 0x10)
        rig.output(0x20, 0x0a)
        #expect(rig.input(0x20) == 0x14, "IRR: input 4 and the cascade")
        #expect(rig.acknowledge() == 0x2f)
        rig.output(0x20, 0x0b)
        rig.output(0xa0, 0x0b)
        #expect(rig.input(0x20) == 0x04)
        #expect(rig.input(0xa0) == 0x80)
        rig.output(0xa0, 0x67)
        rig.output(0x20, 0x62)
        #expect(rig.input(0x20) == 0)
        rig.output(0x21, 0)
        #expect(rig.serve() == 0x24)
    }

    @Test func spuriousInterrupts() throws {
        let (rig, lines) = try rig([5, 9])
        #expect(rig.bus.acknowledgeInterrupt() == 0x27, "nothing pending")
        rig.output(0x4d1, 0x02)
        lines[9]?.set(true)
        #expect(rig.engine.intr)
        lines[9]?.set(false)
        #expect(!rig.engine.intr)
        // The primary latches nothing of the cascade, but a request can vanish between its two INTA pulses' halves:
        // masking the secondary's input leaves no request at all.
        lines[5]?.set(true)
        rig.output(0x21, 0x20)
        #expect(rig.bus.acknowledgeInterrupt() == 0x27)
        rig.output(0x20, 0x0b)
        #expect(rig.input(0x20) == 0, "a spurious interrupt is not in service")
    }

    @Test func levelTriggeredInputsAskAgain() throws {
        let (rig, lines) = try rig([11])
        rig.output(0x4d1, 0xff)
        #expect(rig.input(0x4d1) == 0xde, "8 and 13 are edge-triggered for good")
        rig.output(0x4d0, 0xff)
        #expect(rig.input(0x4d0) == 0xf8)
        lines[11]?.set(true)
        #expect(rig.serve() == 0x2b)
        #expect(rig.serve() == 0x2b)
        lines[11]?.set(false)
        #expect(rig.serve() == nil)
    }

    @Test func automaticEOIAndRotation() throws {
        let (rig, lines) = try rig([1, 3])
        rig.output(0x20, 0x11)
        rig.output(0x21, 0x20, 0x04, 0x03)
        rig.output(0x20, 0x80)
        lines[1]?.raiseEdge()
        lines[3]?.raiseEdge()
        #expect(rig.acknowledge() == 0x21)
        lines[1]?.raiseEdge()
        #expect(rig.acknowledge() == 0x23, "input 1 went to the end of the queue")
        #expect(rig.acknowledge() == 0x21)
        #expect(rig.acknowledge() == nil)
    }

    @Test func rotationByCommand() throws {
        let (rig, lines) = try rig([1, 6])
        rig.output(0x20, 0xc5)  // 5 is lowest: 6 is highest
        lines[1]?.set(true)
        lines[6]?.set(true)
        #expect(rig.acknowledge() == 0x26)
        rig.output(0x20, 0xa0)  // rotate on unspecific EOI: 6 is lowest
        lines[6]?.raiseEdge()
        #expect(rig.acknowledge() == 0x21)
        rig.output(0x20, 0xe1)  // rotate on specific EOI
        #expect(rig.acknowledge() == 0x26)
    }

    @Test func specialMaskModeAndPolling() throws {
        let (rig, lines) = try rig([1, 4])
        lines[1]?.set(true)
        #expect(rig.acknowledge() == 0x21)
        lines[4]?.set(true)
        #expect(!rig.engine.intr)
        rig.output(0x21, 0x02)
        rig.output(0x20, 0x68)
        #expect(rig.engine.intr, "masking an input in service lets lower ones in")
        rig.output(0x20, 0x0c)
        #expect(rig.input(0x20) == 0x84)
        rig.output(0x20, 0x0c)
        #expect(rig.input(0x20) == 0)
    }

    @Test func specialFullyNestedMode() throws {
        let (rig, lines) = try rig([10, 14])
        for nested in [false, true] {
            rig.output(0x20, 0x11)
            rig.output(0x21, 0x20, 0x04, nested ? 0x11 : 0x01)
            rig.output(0xa0, 0x11)
            rig.output(0xa1, 0x28, 0x02, 0x01)
            lines[14]?.raiseEdge()
            #expect(rig.acknowledge() == 0x2e)
            lines[10]?.raiseEdge()
            #expect(rig.acknowledge() == (nested ? 0x2a : nil))
        }
    }

    @Test func initialisationWithoutCascadeAndICW4() throws {
        let rig = try Rig()
        rig.output(0x20, 0x12)
        rig.output(0x21, 0x47)
        rig.output(0x21, 0xfe)
        #expect(rig.input(0x21) == 0xfe, "ICW2 was the last: this is the mask")
        #expect(rig.bus.acknowledgeInterrupt() == 0x47, "vectors are multiples of 8")
    }
}

@Suite struct IOAPICTests {
    private func rig() throws -> (Rig, InterruptLine) {
        let rig = try Rig()
        let line = rig.interrupts.line(5, name: "test")
        return (rig, try #require(line))
    }

    @Test func registers() throws {
        let (rig, _) = try rig()
        #expect(rig.ioAPIC(1) == 0x0017_0011)
        rig.setIOAPIC(0, 0xffff_ffff)
        #expect(rig.ioAPIC(0) == 0x0f00_0000)
        #expect(rig.ioAPIC(2) == 0x0f00_0000)
        #expect(rig.ioAPIC(0x10) == 0x1_0000)
        rig.setIOAPIC(0x10, 0xffff_ffff)
        rig.setIOAPIC(0x11, 0xffff_ffff)
        #expect(rig.ioAPIC(0x10) == 0x1_afff, "delivery status and remote IRR are read-only")
        #expect(rig.ioAPIC(0x11) == 0xff00_0000)
        #expect(rig.ioAPIC(0x40) == 0)
        #expect(rig.bus.readMMIO(MMIOMap.ioAPIC + 0x20, size: 4) == 0)
    }

    @Test func edges() throws {
        let (rig, line) = try rig()
        line.raiseEdge()
        #expect(rig.engine.takeMessages().isEmpty, "masked")
        rig.setIOAPIC(0x1b, 0x0300_0000)
        rig.setIOAPIC(0x1a, 0x0041)
        #expect(rig.engine.takeMessages().isEmpty, "an edge while masked is lost")
        line.raiseEdge()
        line.set(true)
        #expect(rig.engine.takeMessages() == [0xfee0_3000_0000_4041])
        rig.setIOAPIC(0x1a, 0x0942)
        line.raiseEdge()
        #expect(rig.engine.takeMessages() == [0xfee0_3004_0000_4142], "lowest priority, logical")
    }

    @Test func levels() throws {
        let (rig, line) = try rig()
        rig.setIOAPIC(0x1a, 0x8051)
        line.set(true)
        line.set(true)
        #expect(rig.engine.takeMessages() == [0xfee0_0000_0000_c051])
        #expect(rig.ioAPIC(0x1a) == 0xc051, "remote IRR")
        rig.bus.endOfInterrupt(vector: 0x50)
        #expect(rig.engine.takeMessages().isEmpty)
        rig.bus.endOfInterrupt(vector: 0x51)
        #expect(rig.engine.takeMessages().count == 1, "still high")
        line.set(false)
        rig.bus.endOfInterrupt(vector: 0x51)
        #expect(rig.engine.takeMessages().isEmpty)
        #expect(rig.ioAPIC(0x1a) == 0x8051)
        // Unmasking a pin that is high sends.
        rig.setIOAPIC(0x1a, 0x1_8051)
        line.set(true)
        #expect(rig.engine.takeMessages().isEmpty)
        rig.setIOAPIC(0x1a, 0x8051)
        #expect(rig.engine.takeMessages().count == 1)
        // Switching to edge and back clears remote IRR.
        rig.setIOAPIC(0x1a, 0x1_0051)
        #expect(rig.ioAPIC(0x1a) == 0x1_0051)
        rig.setIOAPIC(0x1a, 0x8051)
        #expect(rig.engine.takeMessages().count == 1)
    }

    @Test func refusedMessagesLeaveNoTrace() throws {
        let (rig, line) = try rig()
        rig.engine.accepts = false
        rig.setIOAPIC(0x1a, 0x8051)
        line.set(true)
        #expect(rig.ioAPIC(0x1a) == 0x8051)
        rig.engine.accepts = true
        rig.setIOAPIC(0x1a, 0x8051)
        #expect(rig.ioAPIC(0x1a) == 0xc051)
    }

    @Test func isaInterruptZeroIsPinTwo() throws {
        let rig = try Rig()
        rig.setIOAPIC(0x14, 0x30)
        rig.output(0x43, 0x30)
        rig.output(0x40, 100, 0)
        rig.clock.advance(to: 1_000_000)
        #expect(rig.engine.takeMessages() == [0xfee0_0000_0000_4030])
    }

    @Test func thePICsOutputIsPinZero() throws {
        let (rig, line) = try rig()
        rig.initialisePICs()
        rig.setIOAPIC(0x10, 0x700)
        line.set(true)
        #expect(rig.engine.takeMessages() == [0xfee0_0000_0000_4700])
    }
}

@Suite struct InterruptRouterTests {
    @Test func sharedLinesAreOred() throws {
        let router = InterruptRouter()
        let engine = RecordingEngine()
        router.connect(engine)
        let (a, b) = (try #require(router.line(20, name: "a")), try #require(router.line(20, name: "b")))
        #expect(router.line(20, name: "a") == nil, "names are unique")
        #expect(router.line(24, name: "c") == nil)
        #expect(router.line(-1, name: "d") == nil)
        router.ioAPIC?.writeMMIO(0, size: 4, value: 0x10 + 40)
        router.ioAPIC?.writeMMIO(0x10, size: 4, value: 0x8060)
        a.set(true)
        b.set(true)
        a.set(false)
        router.endOfInterrupt(vector: 0x60)
        #expect(engine.takeMessages().count == 2)
        b.set(false)
        router.endOfInterrupt(vector: 0x60)
        #expect(engine.takeMessages().isEmpty)
        withExtendedLifetime(router) {}
    }

    @Test func hostedChipsGetTheLines() throws {
        let router = InterruptRouter(hosted: [.pic, .ioAPIC, .localAPIC])
        let engine = RecordingEngine()
        router.connect(engine)
        let line = try #require(router.line(4, name: "line"))
        line.set(true)
        line.raiseEdge()
        line.set(false)
        #expect(engine.seen.lines == [4, -5, 4, -5])
        #expect(engine.seen.intr.isEmpty && engine.seen.messages.isEmpty)
        #expect(router.acknowledge() == 0xff)
    }
}
