// The keyboard controller, the reset lines, the paravirtual ports and the PCI host bridge.

import Machine
import Testing
import VirtualCPU

@Suite struct SmallDeviceTests {
    @Test func keyboardControllerAnswersProbes() throws {
        let rig = try Rig()
        #expect(rig.input(0x64) & 1 == 0)
        rig.output(0x64, 0xaa)
        #expect(rig.input(0x64) & 1 == 1)
        #expect(rig.input(0x60) == 0x55)
        #expect(rig.input(0x64) & 1 == 0)
        rig.output(0x64, 0x60)
        rig.output(0x60, 0x47)
        rig.output(0x64, 0x20)
        #expect(rig.input(0x60) == 0x47)
        #expect(rig.input(0x64) & 4 != 0, "system flag")
        rig.output(0x64, 0xd0)
        #expect(rig.input(0x60) == 0x03)
        rig.output(0x64, 0xd1)
        rig.output(0x60, 0xdd)
        rig.output(0x64, 0xd0)
        #expect(rig.input(0x60) == 0xdd, "A20's bit is kept")
        rig.output(0x60, 0xf2)
        #expect(rig.input(0x64) & 0x41 == 0x41, "nobody is there: time-out")
        #expect(rig.input(0x60) == 0xfe)
        #expect(rig.events.isEmpty)
    }

    @Test func resetLines() throws {
        let rig = try Rig()
        let lines: [(UInt16, [UInt32])] = [
            (0x64, [0xfe]), (0xcf9, [0x02, 0x06]), (0xcf9, [0x0e]), (0x92, [0x01]), (0x92, [0x02, 0x03]),
        ]
        for (count, (port, values)) in lines.enumerated() {
            for value in values { rig.output(port, value) }
            #expect(rig.events.count == count + 1, "\(port)")
        }
        rig.output(0x64, 0xd1)
        rig.output(0x60, 0xfe)
        #expect(rig.events == Array(repeating: .reset, count: 6))
        rig.output(0xcf9, 0x02)
        rig.output(0x92, 0x02)
        rig.output(0x64, 0xff)
        #expect(rig.events.count == 6)
    }

    @Test func paravirtualPorts() throws {
        let rig = try Rig()
        #expect(rig.input(0x505) == 3)
        rig.output(0x505, 1)
        rig.output(0x505, 2)
        rig.output(0x505, 4)
        rig.output(0xf4, 7)
        rig.bus.writePort(0xf4, size: 2, value: 8)
        rig.output32(0xf4, 9)
        rig.output(0xf5, 10)
        #expect(rig.events == [.panic, .crashLoaded, .exit(status: 7), .exit(status: 8), .exit(status: 9)])
        #expect(rig.input(0xe9) == 0xe9)
        rig.output(0xe9, 0x41)
        #expect(rig.log.debug.withLock { $0 } == [0x41])
    }

    @Test func pciConfiguration() throws {
        final class Function: PCIFunction {
            var space = PCIConfigurationSpace(vendor: 0x1af4, device: 0x1041, revision: 1, classCode: 0x02_0000)
            func readConfiguration(_ offset: Int, size: Int) -> UInt32 { space.read(offset, size: size) }
            func writeConfiguration(_ offset: Int, size: Int, value: UInt32) {
                space.write(offset, size: size, value: value)
            }
        }
        let rig = try Rig()
        let function = Function()
        function.space.set(0, writable: 0xffff_f000, at: 0x10)
        #expect(rig.pci.add(function, device: 3))
        #expect(!rig.pci.add(function, device: 3))
        #expect(!rig.pci.add(function, device: 0) && !rig.pci.add(function, device: 32))
        rig.output32(0xcf8, 0x8000_0000)
        #expect(rig.input32(0xcf8) == 0x8000_0000)
        #expect(rig.input32(0xcfc) == 0x1237_8086)
        #expect(rig.bus.readPort(0xcfe, size: 2) == 0x1237)
        rig.output32(0xcfc, 0)
        #expect(rig.input32(0xcfc) == 0x1237_8086)
        rig.output32(0xcf8, 0x8000_000b)
        #expect(rig.input32(0xcf8) == 0x8000_0008)
        #expect(rig.input(0xcff) == 0x06, "class")
        rig.output32(0xcf8, 0x8000_0800)
        #expect(rig.input32(0xcfc) == 0xffff_ffff, "an empty slot")
        rig.output32(0xcf8, 0x8001_0000)
        #expect(rig.input32(0xcfc) == 0xffff_ffff, "another bus")
        rig.output32(0xcf8, 0x8000_1810)
        rig.output32(0xcfc, 0xffff_ffff)
        #expect(rig.input32(0xcfc) == 0xffff_f000)
        rig.output32(0xcf8, 0x0000_1810)
        #expect(rig.input32(0xcfc) == 0xffff_ffff, "cycles are off")
        rig.output(0xcf9, 2)
        #expect(rig.input32(0xcf8) == 0x0000_1810, "a byte at 0xcf9 is not PCI's")
    }

    /// The cursor can be read back, and protected registers hold.
    @Test func crtController() throws {
        let rig = try Rig()
        func write(_ index: UInt32, _ value: UInt32) { rig.output(0x3d4, index); rig.output(0x3d5, value) }
        func read(_ index: UInt32) -> UInt8 { rig.output(0x3d4, index); return rig.input(0x3d5) }
        #expect(read(0x0e) == 0 && read(0x0f) == 0, "the upper left corner")
        write(0x0e, 0x07)
        rig.bus.writePort(0x3d4, size: 2, value: 0x800f)
        #expect(read(0x0e) == 0x07 && read(0x0f) == 0x80)
        #expect(rig.input(0x3d4) == 0x0f)
        rig.output(0x3d4, 0xff)
        #expect(rig.input(0x3d4) == 0x1f && rig.input(0x3d5) == 0, "no such register")
        write(0x00, 0x5f)
        write(0x11, 0x8e)
        write(0x00, 0x11)
        write(0x07, 0xff)
        #expect(read(0x00) == 0x5f && read(0x07) == 0x10, "protected but for Line Compare")
    }
}
