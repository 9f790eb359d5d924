// The test device: what is written comes back, and a port for each interrupt line.

import Foundation
import Machine
import Testing
import VirtualCPU

@Suite struct TestDeviceTests {
    @Test func echoesInEveryWidth() throws {
        let rig = try Rig()
        rig.output32(0xe0, 0x1234_5678)
        #expect(rig.input32(0xe0) == 0x1234_5678)
        #expect(rig.bus.readPort(0xe0, size: 2) == 0x5678)
        #expect(rig.bus.readPort(0xe2, size: 2) == 0x1234)
        #expect((0..<4).map { rig.input(0xe0 + $0) } == [0x78, 0x56, 0x34, 0x12])
        rig.output(0xe1, 0xff)
        rig.bus.writePort(0xe2, size: 2, value: 0xabcd)
        #expect(rig.input32(0xe0) == 0xabcd_ff78)
        #expect(rig.input32(0xe8) == 0xabcd_ff78, "the same register again")
        rig.bus.writePort(0xe8, size: 2, value: 0x0102)
        #expect(rig.input(0xe0) == 0x02)
        rig.output32(0xe4, 0xffff_ffff)
        #expect(rig.input32(0xe4) == 0, "a page flush leaves nothing to read")
        #expect(rig.input32(0xe0) == 0xabcd_0102)
    }

    @Test func debugConsoleKeepsItsPort() throws {
        let rig = try Rig()
        rig.output(0xe9, 0x41)
        #expect(rig.log.debug.withLock { $0 } == [0x41])
        #expect(rig.input(0xe9) == 0xe9)
    }

    @Test func memoryComesBack() throws {
        let rig = try Rig()
        let base = MMIOMap.testDevice
        rig.bus.writeMMIO(base + 0xfff8, size: 8, value: 0x0807_0605_0403_0201)
        rig.bus.writeMMIO(base + 0xfffa, size: 2, value: 0xaaaa)
        #expect(rig.bus.readMMIO(base + 0xfff8, size: 8) == 0x0807_0605_aaaa_0201)
        #expect(rig.bus.readMMIO(base + 0xffff, size: 1) == 8)
        #expect(rig.bus.readMMIO(base, size: 4) == 0)
        #expect(rig.bus.readMMIO(base + 0x1_0000, size: 4) == 0xffff_ffff, "behind its end")
        let copy = try Rig()
        try copy.importStates(rig.exportStates())
        #expect(copy.bus.readMMIO(base + 0xfff8, size: 8) == 0x0807_0605_aaaa_0201)
        #expect(try copy.exportStates() == rig.exportStates())
    }

    @Test func drivesThePICs() throws {
        let rig = try Rig()
        rig.initialisePICs()
        rig.output(0x200e, 1)
        #expect(rig.serve() == 0x2e)
        rig.output(0x200e, 1)
        #expect(rig.serve() == nil, "no new edge")
        rig.output(0x200e, 0)
        rig.output(0x200e, 0x80)
        #expect(rig.serve() == 0x2e, "anything but 0 is high")
        rig.output(0x2002, 1)
        #expect(rig.serve() == nil, "the cascade is no input")
    }

    @Test func drivesTheIOAPIC() throws {
        let rig = try Rig()
        for pin: UInt64 in [2, 0x17] { rig.setIOAPIC(0x10 + 2 * pin, 0x40 + pin) }
        rig.output(0x2017, 1)
        #expect(rig.engine.takeMessages().map { $0 & 0xff } == [0x57])
        // The timer and the test device's lines 0 and 2 share pin 2: it stays high until all are low. In mode 0 the
        // timer's output waits low for a count.
        rig.output(0x43, 0x30)
        rig.output(0x2002, 1)
        #expect(rig.engine.takeMessages().map { $0 & 0xff } == [0x42])
        rig.output(0x2000, 1)
        rig.output(0x2002, 0)
        rig.output(0x2002, 1)
        #expect(rig.engine.takeMessages() == [])
        rig.output(0x2002, 0)
        rig.output(0x2000, 0)
        rig.output(0x2000, 1)
        #expect(rig.engine.takeMessages().map { $0 & 0xff } == [0x42])
    }

    @Test func refusesTooMuchMemory() throws {
        let rig = try Rig()
        var states = try rig.exportStates()
        let text = "{\"echo\":0,\"memory\":\"\(Data(count: TestDevice.memorySize + 1).base64EncodedString())\"}"
        states.devices["test-device"] = Data(text.utf8)
        #expect(throws: DeviceStateError("a test device has 65536 bytes of memory, not 65537")) {
            try rig.importStates(states)
        }
    }
}
