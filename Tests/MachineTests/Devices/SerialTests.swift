// The 16550A, as drivers probe and use it.

import Machine
import Testing
import VirtualCPU

@Suite struct SerialTests {
    private let port: UInt16 = 0x3f8

    /// Reads characters with the time between them that they take, until there is none or `limit` are read.
    private func readAll(_ rig: Rig, limit: Int = .max) -> [UInt8] {
        var got: [UInt8] = []
        while got.count < limit {
            if rig.input(port + 5) & 1 == 0 { rig.clock.advance(to: rig.clock.now() + 200_000) }
            guard rig.input(port + 5) & 1 != 0 else { break }
            got.append(rig.input(port))
        }
        return got
    }

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
        #expect(readAll(rig) == text)
    }

    /// Some drivers leave all modem control outputs off and wait for interrupts.
    @Test func driversThatKnowNoModemLines() throws {
        let rig = try Rig()
        rig.initialisePICs()
        #expect(rig.serial.receive([1, 2, 3]) == 3)
        rig.output(port + 4, 0)
        #expect(rig.input(port + 5) & 1 == 0)
        rig.output(port + 1, 1)
        #expect(rig.input(port) == 0, "emptying the receiver loses nothing")
        #expect(readAll(rig) == [1, 2, 3])
        #expect(rig.serial.receive([4]) == 1)
        #expect(rig.serve() == 0x24)
        #expect(rig.input(port) == 4)
        rig.output(port + 4, 0x0b)
        rig.output(port + 4, 0)
        #expect(rig.serial.receive([5]) == 1)
        #expect(rig.input(port + 5) & 1 == 0, "RTS is low, and it was high once")
        rig.output(port + 4, 0x02)
        #expect(rig.input(port + 5) & 1 == 1)
        #expect(rig.serve() == nil, "OUT2 is off, and it was on once")
    }

    @Test func handlersComeToAnEnd() throws {
        let rig = try Rig()
        rig.initialisePICs()
        rig.output(port + 2, 0x01)
        rig.output(port + 4, 0x0b)
        rig.output(port + 1, 1)
        #expect(rig.serial.receive([UInt8](0..<40)) == 40)
        for start in [0, 16] as [UInt8] {
            #expect(rig.serve() == 0x24)
            #expect((0..<16).map { _ in rig.input(port) } == [UInt8](start..<start + 16))
            #expect(rig.input(port + 5) & 1 == 0)
            #expect(rig.input(port + 2) == 0xc1, "the handler is done")
            let due = rig.clock.now() + 200_000
            rig.clock.advance(to: due - 1)
            #expect(rig.serve() == nil)
            rig.clock.advance(to: due)
        }
        #expect(rig.serve() == 0x24, "a new edge")
        #expect(readAll(rig) == [UInt8](32..<40))
        #expect(rig.clock.nextDeadline() == nil)
    }

    @Test func takingThePortOverLosesNothing() throws {
        let rig = try Rig()
        let text = Array("typed while the machine starts\n".utf8)
        #expect(rig.serial.receive(text) == text.count)
        #expect(rig.input(port + 5) & 1 == 1, "a guest that knows of no modem lines can read at once")
        rig.output(port + 4, 0x1a)
        rig.output(port + 4, 0)
        rig.output(port + 2, 0x07)
        #expect(rig.input(port) == 0)
        rig.output(port + 4, 0x0b)
        #expect(readAll(rig) == text)
    }

    @Test func heldInputWaitsForDTR() throws {
        let rig = try Rig(holdsSerialInput: true)
        #expect(rig.serial.receive([1, 2, 3]) == 3)
        for control in [0x00, 0x09, 0x1a, 0x09, 0x0b, 0x0a, 0x1b] as [UInt32] {
            rig.output(port + 4, control)
            #expect(rig.input(port + 5) & 1 == 0, "modem control \(control)")
        }
        rig.output(port + 4, 0x09)
        #expect(rig.input(port + 5) & 1 == 0, "RTS is low")
        rig.output(port + 4, 0x0b)
        #expect((0..<3).map { _ in rig.input(port) } == [1, 2, 3])
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
        #expect(readAll(rig, limit: 40_000) == Array(flood[..<40_000]))
        #expect(calls == 1)
        taken += rig.serial.receive(Array(flood[taken...]))
        #expect(taken == flood.count)
        #expect(readAll(rig) == Array(flood[40_000...]))
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
