// Whole states out and in, in the middle of operation; and random accesses to everything.

import Foundation
import Machine
import TestSupport
import Testing
import VirtualCPU

/// One random access or step of time; what the guest saw of it.
private func randomStep(_ rig: Rig, _ random: inout SplitMix64, ports: ClosedRange<UInt16>? = nil) -> UInt64 {
    let devicePorts = [
        PortMap.primaryPIC, PortMap.secondaryPIC, PortMap.edgeLevel, PortMap.pit, PortMap.systemControlB,
        PortMap.keyboardData, PortMap.keyboardCommand, PortMap.cmos, PortMap.systemControlA, PortMap.com1,
        PortMap.pvpanic, PortMap.powerManagement, PortMap.pciAddress, PortMap.pciData, PortMap.exit, PortMap.postCode,
        PortMap.testDevice, PortMap.testDeviceLines, PortMap.crtController, PortMap.resetControl,
        PortMap.firmwareConfiguration, PortMap.debugConsole,
    ]
    let range = ports ?? devicePorts[Int.random(in: 0..<devicePorts.count, using: &random)]
    let port = UInt16.random(in: range, using: &random)
    let size = [1, 1, 1, 2, 4][Int.random(in: 0..<5, using: &random)]
    let value = UInt32.random(in: 0...UInt32.max, using: &random) >> UInt32.random(in: 0..<32, using: &random)
    switch Int.random(in: 0..<16, using: &random) {
    case 0...5: rig.bus.writePort(port, size: size, value: value)
    case 6...9: return UInt64(rig.bus.readPort(port, size: size))
    case 10:
        rig.setIOAPIC(UInt64(value & 0x3f), UInt64(value) << UInt64(value & 7))
        return UInt64(rig.ioAPIC(UInt64(value >> 8 & 0x3f)))
    case 11: return UInt64(rig.bus.acknowledgeInterrupt())
    case 12: rig.bus.endOfInterrupt(vector: UInt8(truncatingIfNeeded: value))
    case 13: return UInt64(rig.serial.receive((0..<Int(value & 31)).map { UInt8($0) }))
    case 14:
        if value & 7 == 0 { rig.serial.receiveBreak() }
        if value & 7 == 1 { rig.power.pressPowerButton() }
    default:
        let span = UInt64(value) << UInt64.random(in: 0..<8, using: &random)
        rig.clock.advance(to: rig.clock.now() + min(span, 2_000_000_000) >> UInt64.random(in: 0..<24, using: &random))
    }
    return 0
}

@Suite struct DeviceStateTests {
    /// A machine that is taken over half-way behaves as the one that went on.
    @Test(arguments: 1...20) func takenOverHalfWay(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        let original = try Rig()
        original.initialisePICs()
        for _ in 0..<Int.random(in: 0..<2000, using: &random) { _ = randomStep(original, &random) }
        let states = try original.exportStates()
        #expect(try original.exportStates() == states, "exporting changes nothing")

        let copy = try Rig()
        copy.clock.set(to: original.clock.now())
        try copy.importStates(JSONDecoder().decode(DeviceStates.self, from: JSONEncoder().encode(states)))
        #expect(try copy.exportStates() == states)
        #expect(copy.engine.seen == RecordingEngine.Record(), "an import drives nothing")
        #expect(copy.clock.nextDeadline() == original.clock.nextDeadline())

        let before = original.engine.seen
        var (first, second) = (random, random)
        for step in 0..<2000 {
            let (a, b) = (randomStep(original, &first), randomStep(copy, &second))
            #expect(a == b, "seed \(seed), step \(step)")
            guard a == b else { return }
        }
        #expect(try original.exportStates() == copy.exportStates(), "seed \(seed)")
        let after = original.engine.seen
        #expect(Array(after.messages.dropFirst(before.messages.count)) == copy.engine.seen.messages)
        #expect(Array(after.intr.dropFirst(before.intr.count)) == copy.engine.seen.intr)
    }

    @Test func malformedStatesAreRefused() throws {
        let rig = try Rig()
        let good = try rig.exportStates()
        var missing = good
        missing.devices["pit"] = nil
        #expect(throws: DeviceStateError("there is no state for the device 'pit'")) { try rig.importStates(missing) }
        var strange = good
        strange.devices["floppy"] = Data()
        #expect(throws: DeviceStateError("the machine has no device 'floppy'")) { try rig.importStates(strange) }
        for name in good.devices.keys {
            var broken = good
            broken.devices[name] = Data("{}".utf8)
            #expect(throws: DeviceStateError.self, "\(name)") { try rig.importStates(broken) }
        }
        #expect(try rig.exportStates() == good)
        let outOfRange: [(String, String, String)] = [
            ("pit", "\"mode\":3", "\"mode\":9"), ("pic", "\"lowestPriority\":7", "\"lowestPriority\":8"),
            ("ioapic", "\"id\":0", "\"id\":99"), ("serial", "\"trigger\":0", "\"trigger\":4"),
            ("cmos", "\"index\":0", "\"index\":200"), ("acpi", "\"enable\":0", "\"enable\":65535"),
            ("interrupts", "[\"PIT\"]", "[\"nobody\"]"), ("pci", "\"address\":0", "\"address\":1"),
        ]
        for (name, old, new) in outOfRange {
            var wrong = good
            let text = String(decoding: try #require(good.devices[name]), as: UTF8.self)
            #expect(text.contains(old), "\(name): \(text)")
            wrong.devices[name] = Data(text.replacingOccurrences(of: old, with: new).utf8)
            #expect(throws: DeviceStateError.self, "\(name)") { try rig.importStates(wrong) }
        }
    }

    @Test func namesAreUnique() throws {
        let registry = DeviceStateRegistry()
        try registry.register("a", PostCodePort())
        #expect(throws: DeviceStateError.self) { try registry.register("a", PostCodePort()) }
    }

    // MARK: Random accesses

    /// Each device by itself, at its own ports.
    @Test(arguments: [
        PortMap.primaryPIC, PortMap.secondaryPIC, PortMap.edgeLevel, PortMap.pit, PortMap.systemControlB,
        PortMap.keyboardData, PortMap.keyboardCommand, PortMap.cmos, PortMap.com1, PortMap.powerManagement,
        PortMap.pciAddress, PortMap.pciData, PortMap.exit, PortMap.systemControlA, PortMap.resetControl,
        PortMap.postCode, PortMap.pvpanic, PortMap.firmwareConfiguration, PortMap.debugConsole, PortMap.testDevice,
        PortMap.testDeviceLines, PortMap.crtController,
    ])
    func randomAccessesToOneDevice(ports: ClosedRange<UInt16>) throws {
        var random = SplitMix64(seed: UInt64(ports.lowerBound))
        let rig = try Rig()
        for step in 0..<fuzzCases {
            _ = randomStep(rig, &random, ports: ports)
            if step % 10_000 == 9999 {
                let states = try rig.exportStates()
                try rig.importStates(states)
                #expect(try rig.exportStates() == states)
            }
        }
        #expect(rig.bus.counters.portWrites > 0 || fuzzCases < 100)
    }

    /// All ports, and addresses all over guest-physical space.
    @Test func randomAccessesEverywhere() throws {
        var random = SplitMix64(seed: 42)
        let rig = try Rig()
        for step in 0..<fuzzCases {
            _ = randomStep(rig, &random, ports: 0...0xffff)
            let size = 1 << Int.random(in: 0..<4, using: &random)
            let near: [UInt64] = [0, MMIOMap.ioAPIC, MMIOMap.localAPIC, MMIOMap.pciWindow, 1 << 32, .max - 64]
            let base = near[Int.random(in: 0..<near.count, using: &random)]
            let address = base &+ UInt64.random(in: 0...0x2000, using: &random)
            rig.bus.writeMMIO(address, size: size, value: random.next())
            _ = rig.bus.readMMIO(address, size: size)
            if step % 10_000 == 9999 {
                let states = try rig.exportStates()
                try rig.importStates(states)
                #expect(try rig.exportStates() == states)
            }
        }
    }

    /// The I/O APIC alone: every register, every size and offset of its window, with interrupts coming and going.
    @Test func randomAccessesToTheIOAPIC() throws {
        var random = SplitMix64(seed: 7)
        let rig = try Rig()
        for step in 0..<fuzzCases {
            let value = random.next() >> UInt64.random(in: 0..<64, using: &random)
            switch Int.random(in: 0..<8, using: &random) {
            case 0...2: rig.setIOAPIC(UInt64.random(in: 0...0x50, using: &random), value)
            case 3: _ = rig.ioAPIC(value & 0xff)
            case 4:
                let size = 1 << Int.random(in: 0..<4, using: &random)
                rig.bus.writeMMIO(MMIOMap.ioAPIC + value & 0xfff, size: size, value: random.next())
            case 5: _ = rig.bus.readMMIO(MMIOMap.ioAPIC + value & 0xfff, size: 1 << Int(value & 3))
            case 6: rig.bus.endOfInterrupt(vector: UInt8(truncatingIfNeeded: value))
            default:
                rig.engine.accepts = value & 4 == 0
                if value & 1 == 0 {
                    rig.power.pressPowerButton()
                } else {
                    _ = rig.serial.receive([UInt8(value & 0xff)])
                }
                rig.clock.advance(to: rig.clock.now() + value & 0xff_ffff)
            }
            if step % 10_000 == 9999 {
                let states = try rig.exportStates()
                try rig.importStates(states)
                #expect(try rig.exportStates() == states)
                _ = rig.engine.takeMessages()
            }
        }
        #expect(rig.bus.counters.mmioWrites > 0 || fuzzCases < 100)
    }
}
