// From interrupt lines of devices to interrupt controllers: the PIC pair and the I/O APIC, or those that the engine hosts
// in their place. Lines that share an input are or'ed.

import VirtualCPU

/// One device's interrupt output. Device lock held for all calls.
package final class InterruptLine {
    /// Unique among the lines of a machine; the key of its level in saved states.
    package let name: String
    let input: Int
    private unowned let router: InterruptRouter
    /// The level that the device drives.
    package fileprivate(set) var level = false

    fileprivate init(name: String, input: Int, router: InterruptRouter) {
        self.name = name
        self.input = input
        self.router = router
    }

    /// Drives the line.
    package func set(_ level: Bool) {
        guard level != self.level else { return }
        self.level = level
        router.count(input, level, silently: false)
    }

    /// Makes a rising edge, whatever the level was; the line is high afterwards.
    package func raiseEdge() {
        set(false)
        set(true)
    }

    /// Sets the level as if it had always been so: no edge is seen.
    package func preset(_ level: Bool) {
        guard level != self.level else { return }
        self.level = level
        router.count(input, level, silently: true)
    }
}

/// Levels of all lines; also what the router contributes to a machine's state.
package struct InterruptRouterState: Codable, Equatable, Sendable {
    /// Names of the lines that are high, sorted.
    package var high: [String] = []
}

/// The interrupt wiring of one machine.
package final class InterruptRouter: StatefulDevice {
    /// ISA interrupts are inputs 0…15; PCI's and others go on to the I/O APIC's last pin.
    package static let inputs = 24

    /// The chips that the engine hosts.
    package let hosted: HostedChips
    /// The PIC pair, unless the engine hosts it.
    package let pic: PIC8259Pair?
    /// The I/O APIC, unless the engine hosts it.
    package let ioAPIC: IOAPIC?

    private weak var engine: (any EngineVM)?
    private var lines: [InterruptLine] = []
    private var counts = [Int](repeating: 0, count: InterruptRouter.inputs)

    /// Makes the wiring with the chips that the engine does not host.
    package init(hosted: HostedChips = []) {
        self.hosted = hosted
        pic = hosted.contains(.pic) ? nil : PIC8259Pair()
        ioAPIC = hosted.contains(.ioAPIC) ? nil : IOAPIC()
        pic?.onINTR = { [unowned self] in setINTR($0) }
        ioAPIC?.send = { [unowned self] in engine?.signalMSI(address: $0, data: $1) ?? false }
    }

    /// Names the engine's part of the VM, which takes what the controllers send. Held weakly, since it holds the bus.
    package func connect(_ engine: any EngineVM) { self.engine = engine }

    /// Makes a line into an input (an ISA interrupt, or a GSI of 16 or more); nil if there is no such input.
    package func line(_ input: Int, name: String) -> InterruptLine? {
        guard (0..<Self.inputs).contains(input), !lines.contains(where: { $0.name == name }) else { return nil }
        let line = InterruptLine(name: name, input: input, router: self)
        lines.append(line)
        return line
    }

    // MARK: Lines

    fileprivate func count(_ input: Int, _ level: Bool, silently: Bool) {
        let before = counts[input] > 0
        counts[input] += level ? 1 : -1
        let now = counts[input] > 0
        guard before != now else { return }
        // ISA interrupt 0 is the I/O APIC's pin 2. The PIC's input 2 is the cascade, so that only the test device has a
        // line to that pin besides.
        let isTimerPin = input == InterruptMap.pit || input == InterruptMap.pitGSI
        let pin = isTimerPin ? InterruptMap.pitGSI : input
        let pinLevel = isTimerPin ? counts[InterruptMap.pit] + counts[InterruptMap.pitGSI] > 0 : now
        if silently {
            if input < 16 { pic?.presetLine(input, level: now) }
            ioAPIC?.presetLine(pin, level: pinLevel)
            return
        }
        if input < 16 { pic?.setLine(input, level: now) }
        ioAPIC?.setLine(pin, level: pinLevel)
        if !hosted.isDisjoint(with: [.pic, .ioAPIC]) { engine?.setInterruptLine(input, level: now) }
    }

    /// The PIC pair's output goes to the bootstrap processor's LINT0 and to the I/O APIC's pin 0.
    private func setINTR(_ level: Bool) {
        engine?.setINTR(level)
        ioAPIC?.setLine(0, level: level)
    }

    /// The INTA cycle. Without a PIC pair there is only the spurious vector.
    package func acknowledge() -> UInt8 { pic?.acknowledge() ?? 0xff }

    /// An EOI of a level-triggered vector.
    package func endOfInterrupt(vector: UInt8) { ioAPIC?.endOfInterrupt(vector: vector) }

    // MARK: State

    /// The lines that are high.
    package func exportState() -> InterruptRouterState {
        InterruptRouterState(high: lines.filter(\.level).map(\.name).sorted())
    }

    /// Sets the lines' levels; controllers and engines are told nothing, since their own states hold what they saw.
    package func importState(_ state: InterruptRouterState) throws(DeviceStateError) {
        if let stranger = state.high.first(where: { name in !lines.contains { $0.name == name } }) {
            throw DeviceStateError("the machine has no interrupt line '\(stranger)'")
        }
        counts = [Int](repeating: 0, count: Self.inputs)
        for line in lines {
            line.level = state.high.contains(line.name)
            if line.level { counts[line.input] += 1 }
        }
    }

    /// After an import of everything: drives INTR, in case the engine's own state does not say.
    package func driveINTR() {
        if let pic { engine?.setINTR(pic.intr) }
    }
}
