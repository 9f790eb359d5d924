// The 16550A, as drivers probe and use it.

import Machine
import Testing
import VirtualCPU

@Suite struct SerialTests {
    private let port: UInt16 = 0x3f8

    @Test func linuxFindsA16550A() throws {
        let rig = try Rig()
        let (ier, iir, lcr, mcr, msr, scratch) = (port + 1, port + 2, port + 3, port + 4, port + 6, port + 7)
        rig.output(ier, 0)
        #expect(rig.input(ier) & 0x0f == 0)
        rig.output(ier, 0xff)
        #expect(rig.input(ier) == 0x0f)
        rig.output(ier, 0)
        rig.output(mcr, 0x1a)
        #expect(rig.input(msr) & 0xf0 == 0x90, "loopback")
        rig.output(mcr, 0)
        rig.output(iir, 1)
        #expect(rig.input(iir) >> 6 == 3)
        rig.output(iir, 0)
        #expect(rig.input(iir) >> 6 == 0)
        rig.output(lcr, 0x80)
        rig.output(port, 1)
        rig.output(ier, 2)
        #expect(rig.input(port) == 1 && rig.input(ier) == 2)
        rig.output(lcr, 3)
        #expect(rig.input(lcr) == 3)
        rig.output(scratch, 0xa5)
        #expect(rig.input(scratch) == 0xa5)
        #expect(rig.input(port + 5) == 0x60)
    }

    @Test func outputGoesOutInLines() throws {
        let rig = try Rig()
        for byte in "ab\ncd".utf8 { rig.output(port, UInt32(byte)) }
        #expect(rig.log.serial.withLock { $0 } == [Array("ab\n".utf8)])
        rig.clock.advance(to: 999_999)
        #expect(rig.serialOutput == "ab\n")
        rig.clock.advance(to: 1_000_000)
        #expect(rig.serialOutput == "ab\ncd")
        for _ in 0..<256 { rig.output(port, 0x78) }
        #expect(rig.log.serial.withLock { $0.last?.count } == 256)
        rig.output(port, 0x79)
        rig.lock.withLock { rig.serial.flush() }
        #expect(rig.serialOutput.hasSuffix("xy"))
        #expect(rig.clock.nextDeadline() == nil)
    }

    @Test func transmitterInterrupt() throws {
        let rig = try Rig()
        rig.initialisePICs()
        rig.output(port + 4, 0x08)
        rig.output(port + 1, 2)
        #expect(rig.serve() == 0x24, "the transmitter is empty already")
        #expect(rig.input(port + 2) == 0x02)
        #expect(rig.input(port + 2) == 0x01, "reading it clears it")
        rig.output(port, 0x41)
        #expect(rig.serve() == 0x24)
        rig.output(port, 0x42)
        #expect(rig.serve() == 0x24, "each character empties the transmitter anew: an edge")
        rig.output(port + 1, 0)
        rig.output(port + 1, 2)
        #expect(rig.serve() == 0x24)
        rig.output(port + 4, 0)
        #expect(rig.input(port + 2) == 0x02)
        rig.output(port, 0x43)
        #expect(rig.serve() == nil, "without OUT2 nothing gets out")
    }

    @Test func receiverInterrupts() throws {
        let rig = try Rig()
        rig.initialisePICs()
        rig.output(port + 2, 0x41)
        rig.output(port + 4, 0x0b)
        rig.output(port + 1, 1)
        #expect(rig.serial.receive([1, 2, 3]) == 3)
        #expect(rig.serve() == 0x24)
        #expect(rig.input(port + 2) == 0xcc, "below the trigger: time-out")
        #expect(rig.serial.receive([4, 5]) == 2)
        #expect(rig.input(port + 2) == 0xc4)
        #expect((0..<5).map { _ in rig.input(port) } == [1, 2, 3, 4, 5])
        #expect(rig.input(port + 2) == 0xc1)
        #expect(rig.input(port + 5) == 0x60)
    }

    @Test func inputWaitsForTheDriver() throws {
        let rig = try Rig()
        let text = Array("typed ahead, more than a FIFO holds\n".utf8)
        rig.output(port + 4, 0)  // RTS low: the sender waits
        #expect(rig.serial.receive(text) == text.count)
        rig.output(port + 2, 0x07)
        #expect(rig.input(port + 5) & 1 == 0)
        #expect(rig.input(port) == 0)
        rig.output(port + 4, 0x0b)
        var got: [UInt8] = []
        while rig.input(port + 5) & 1 != 0 { got.append(rig.input(port)) }
        #expect(got == text)
    }

    /// A driver that reads until there is nothing must come to an end, and get a new edge for what comes later.
    @Test func aFloodComesInPartsToADriverWithInterrupts() throws {
        let rig = try Rig()
        rig.initialisePICs()
        rig.output(port + 2, 0x01)
        rig.output(port + 4, 0x0b)
        rig.output(port + 1, 1)
        let flood = (0..<1000).map { UInt8(truncatingIfNeeded: $0) }
        #expect(rig.serial.receive(flood) == flood.count)
        var got: [UInt8] = []
        while got.count < flood.count {
            #expect(rig.serve() == 0x24)
            let before = got.count
            while rig.input(port + 5) & 1 != 0 { got.append(rig.input(port)) }
            try #require((1...16).contains(got.count - before))
            #expect(rig.serve() == nil)
            rig.clock.advance(to: rig.clock.now() + 50_000)
        }
        #expect(got == flood)
    }

    @Test func backpressure() throws {
        let rig = try Rig()
        nonisolated(unsafe) var calls = 0
        rig.serial.onInputSpace = { calls += 1 }
        let flood = (0..<100_000).map { UInt8(truncatingIfNeeded: $0) }
        var taken = rig.serial.receive(flood)
        #expect(taken == Serial16550.queueLimit)
        taken += rig.serial.receive(Array(flood[taken...]))
        #expect(taken == Serial16550.queueLimit + 1, "one character is in the receiver")
        #expect(rig.serial.receive([1]) == 0)
        for index in 0..<40_000 { #expect(rig.input(port) == UInt8(truncatingIfNeeded: index)) }
        #expect(calls == 1)
        taken += rig.serial.receive(Array(flood[taken...]))
        #expect(taken == flood.count)
        for index in 40_000..<100_000 { #expect(rig.input(port) == UInt8(truncatingIfNeeded: index)) }
        #expect(rig.input(port + 5) & 1 == 0)
    }

    @Test func loopbackAndOverrun() throws {
        let rig = try Rig()
        rig.output(port + 4, 0x10)
        rig.output(port, 0x55)
        rig.output(port, 0x66)
        #expect(rig.input(port + 5) == 0x63, "data ready, overrun")
        #expect(rig.input(port + 5) == 0x61)
        #expect(rig.input(port) == 0x55)
        #expect(rig.serialOutput.isEmpty)
    }

    @Test func breaksAndModemStatus() throws {
        let rig = try Rig()
        rig.output(port + 1, 0x0c)
        rig.serial.receiveBreak()
        #expect(rig.input(port + 2) == 0x06)
        #expect(rig.input(port + 5) == 0x71)
        #expect(rig.input(port + 5) == 0x61)
        #expect(rig.input(port) == 0)
        rig.output(port + 4, 0x10)
        #expect(rig.input(port + 2) == 0x00)
        #expect(rig.input(port + 6) == 0x0b, "CTS, DSR and DCD fell")
        #expect(rig.input(port + 2) == 0x01)
    }
}
