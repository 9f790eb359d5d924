// Interrupts through a local APIC: priorities, EOI, pins, messages and IPIs.

import LocalAPIC
import Testing
import VirtualCPU

@Suite struct DeliveryTests {
    @Test func higherPriorityClassInterruptsLower() {
        let f = Fixture()
        f.apic.post(vector: 0x31, levelTriggered: false)
        f.apic.post(vector: 0x52, levelTriggered: false)
        #expect(f.attentions == 2)
        #expect(f.take() == 0x52)
        #expect(f.apic.readRegister(offset: Offset.processorPriority) == 0x50)
        #expect(f.take() == nil, "0x31 waits for the EOI of 0x52")
        f.apic.post(vector: 0x5f, levelTriggered: false)
        #expect(f.take() == nil, "the same class does not interrupt")
        f.apic.post(vector: 0x60, levelTriggered: false)
        #expect(f.take() == 0x60)
        f.endOfInterrupt()
        #expect(f.take() == nil)
        f.endOfInterrupt()
        #expect(f.take() == 0x5f)
        f.endOfInterrupt()
        #expect(f.take() == 0x31)
        f.endOfInterrupt()
        #expect(f.apic.readRegister(offset: Offset.processorPriority) == 0)
        #expect(f.endOfInterrupts.isEmpty, "edge-triggered vectors are not broadcast")
    }

    @Test func taskPriorityHoldsBack() {
        let f = Fixture()
        f.apic.taskPriority = 0x40
        f.apic.post(vector: 0x4f, levelTriggered: false)
        #expect(f.apic.pendingInterrupt() == nil)
        let before = f.attentions
        f.apic.taskPriority = 0x3f
        #expect(f.attentions == before + 1, "lowering the priority tells the CPU")
        #expect(f.apic.pendingInterrupt() == .fixed(0x4f))
        #expect(f.apic.readRegister(offset: Offset.processorPriority) == 0x3f)
    }

    @Test func levelTriggeredVectorsAreBroadcastOnEOI() {
        let f = Fixture()
        f.apic.post(vector: 0x71, levelTriggered: true)
        #expect(f.take() == 0x71)
        #expect(f.apic.readRegister(offset: Offset.triggerMode + 0x30) == 1 << 17)
        f.endOfInterrupt()
        #expect(f.endOfInterrupts == [0x71])
        f.apic.post(vector: 0x71, levelTriggered: false)
        #expect(f.take() == 0x71)
        f.endOfInterrupt()
        #expect(f.endOfInterrupts == [0x71], "the trigger mode follows the latest request")
    }

    @Test func repeatedRequestsCollapse() {
        let f = Fixture()
        for _ in 0..<3 { f.apic.post(vector: 0x41, levelTriggered: false) }
        #expect(f.take() == 0x41)
        f.apic.post(vector: 0x41, levelTriggered: false)
        f.apic.post(vector: 0x41, levelTriggered: false)
        f.endOfInterrupt()
        #expect(f.take() == 0x41)
        f.endOfInterrupt()
        #expect(f.take() == nil)
    }

    @Test func everyVectorAboveFifteenGoesThrough() {
        let f = Fixture()
        for vector in UInt8(16)...255 {
            f.apic.post(vector: vector, levelTriggered: vector & 1 != 0)
            #expect(f.take() == vector)
            f.endOfInterrupt()
        }
        #expect(f.endOfInterrupts == (UInt8(16)...255).filter { $0 & 1 != 0 })
    }

    @Test func acknowledgingWhatIsNotRequestedDoesNothing() {
        let f = Fixture()
        f.apic.acknowledge(0x90)
        #expect(f.apic.readRegister(offset: Offset.inService + 0x40) == 0)
    }

    // MARK: LINT0

    @Test func lint0InExtINTModePassesINTR() {
        let f = Fixture()
        f.apic.setLINT0(true)
        #expect(f.apic.pendingInterrupt() == nil, "masked after reset")
        f.apic.writeRegister(offset: Offset.lvtLINT0, value: 0x700)
        #expect(f.apic.pendingInterrupt() == .external)
        f.apic.taskPriority = 0xff
        #expect(f.apic.pendingInterrupt() == .external, "ExtINT knows no priority")
        f.apic.setLINT0(false)
        #expect(f.apic.pendingInterrupt() == nil)
        f.apic.setLINT0(true)
        f.apic.writeRegister(offset: Offset.spurious, value: 0xff)
        #expect(f.apic.pendingInterrupt() == nil, "software disable masks every entry")
    }

    @Test func globallyDisabledAPICIsTransparent() {
        let f = Fixture()
        #expect(f.apic.setBaseMSR(0xfee0_0000 | 1 << 8))
        #expect(f.apic.mmioBase == nil)
        f.apic.setLINT0(true)
        #expect(f.apic.pendingInterrupt() == .external)
        #expect(!f.apic.accept(msiAddress: 0xfee0_0000, data: 0x41))
        #expect(!f.apic.post(vector: 0x41, levelTriggered: false))
    }

    @Test func lint0FixedEdgeAndLevel() {
        let f = Fixture()
        f.apic.writeRegister(offset: Offset.lvtLINT0, value: 0x61)
        f.apic.setLINT0(true)
        #expect(f.take() == 0x61)
        f.endOfInterrupt()
        #expect(f.take() == nil)
        f.apic.setLINT0(false)
        f.apic.writeRegister(offset: Offset.lvtLINT0, value: 0x8061)
        f.apic.setLINT0(true)
        #expect(f.take() == 0x61)
        #expect(f.apic.readRegister(offset: Offset.lvtLINT0) == 0xc061, "remote IRR")
        f.endOfInterrupt()
        #expect(f.take() == 0x61, "the pin is still high")
        f.apic.setLINT0(false)
        f.endOfInterrupt()
        #expect(f.take() == nil)
    }

    // MARK: Messages

    @Test func messagesFindTheirAPIC() {
        let f = Fixture(id: 3)
        #expect(f.apic.accept(msiAddress: 0xfee0_3000, data: 0x41))
        #expect(!f.apic.accept(msiAddress: 0xfee0_2000, data: 0x42))
        #expect(f.apic.accept(msiAddress: 0xfeef_f000, data: 0x43), "broadcast")
        #expect(!f.apic.accept(msiAddress: 0xfed0_3000, data: 0x44), "not an MSI address")
        f.apic.writeRegister(offset: Offset.logicalDestination, value: 0x0400_0000)
        #expect(f.apic.accept(msiAddress: 0xfee0_c004, data: 0x45), "flat: bits 2 and 3")
        #expect(!f.apic.accept(msiAddress: 0xfee0_b004, data: 0x46))
        f.apic.writeRegister(offset: Offset.destinationFormat, value: 0)
        f.apic.writeRegister(offset: Offset.logicalDestination, value: 0x2400_0000)
        #expect(f.apic.accept(msiAddress: 0xfee2_c004, data: 0x47), "cluster 2, bits 2 and 3")
        #expect(!f.apic.accept(msiAddress: 0xfee1_c004, data: 0x48), "cluster 1")
        #expect(!f.apic.accept(msiAddress: 0xfee2_b004, data: 0x49), "not a member")
        let taken = (0..<4).map { _ -> UInt8? in
            defer { f.endOfInterrupt() }
            return f.take()
        }
        #expect(taken == [0x47, 0x45, 0x43, 0x41])
        #expect(f.take() == nil)
    }

    @Test func softwareDisabledTakesOnlyWhatHasNoVector() {
        let f = Fixture(enabled: false)
        #expect(!f.apic.accept(msiAddress: 0xfee0_0000, data: 0x41))
        #expect(f.apic.accept(msiAddress: 0xfee0_0000, data: 0x400))
        #expect(f.apic.hasNMI)
        #expect(f.apic.takeNMI())
        #expect(!f.apic.takeNMI())
    }

    @Test func twoNMIsWaitUntilOneIsBeingHandled() {
        let f = Fixture()
        for _ in 0..<3 { f.apic.postNMI() }
        #expect(f.apic.exportState().pendingSecondNMI)
        let copy = Fixture()
        copy.apic.importState(f.apic.exportState())
        #expect(copy.apic.takeNMI())
        #expect(copy.apic.takeNMI())
        #expect(!copy.apic.takeNMI(), "the third was lost")

        f.apic.mergeNMIs()
        #expect(f.apic.takeNMI())
        #expect(!f.apic.takeNMI())
    }

    @Test func sendsToOneID() {
        let (sender, target) = (Fixture(id: 0), Fixture(id: 1))
        let apics = [sender.apic, target.apic]
        sender.apic.sendIPI = { icr in LocalAPIC.route(icr, from: apics[0], among: apics) }
        #expect(sender.apic.send(0x41, to: 1))
        #expect(target.take() == 0x41)
        #expect(!sender.apic.send(0x41, to: 2), "nobody")
        #expect(!sender.apic.send(0x0f, to: 1), "no vector for an interrupt")
        #expect(!sender.apic.send(0x500, to: 1), "INIT")
        #expect(sender.apic.send(0x400, to: 1))
        #expect(target.apic.takeNMI())
    }

    @Test func softwareMayChangeTheID() {
        let f = Fixture(id: 1)
        f.apic.writeRegister(offset: Offset.id, value: 0x23_45_67_89)
        #expect(f.apic.readRegister(offset: Offset.id) == 0x2300_0000)
        #expect(!f.apic.accept(msiAddress: 0xfee0_1000, data: 0x41))
        #expect(f.apic.accept(msiAddress: 0xfee2_3000, data: 0x41))
        #expect(f.take() == 0x41)
        #expect(f.apic.accept(msiAddress: 0xfee2_3000, data: 0x500))
        #expect(f.apic.takeINIT())
        #expect(f.apic.readRegister(offset: Offset.id) == 0x2300_0000, "INIT leaves it")
        // x2APIC mode goes by the initial ID, and so does what follows it.
        #expect(f.apic.setBaseMSR(f.apic.baseMSR | 1 << 10))
        #expect(f.apic.readMSR(0x802) == 1)
        #expect(f.apic.setBaseMSR(f.apic.baseMSR & ~(3 << 10)))
        #expect(f.apic.setBaseMSR(f.apic.baseMSR | 1 << 11))
        #expect(f.apic.readRegister(offset: Offset.id) == 0x0100_0000)
    }

    @Test func initCancelsAnEarlierStartup() {
        let f = Fixture(id: 1)
        #expect(f.apic.accept(msiAddress: 0xfee0_1000, data: 0x612))
        #expect(f.apic.accept(msiAddress: 0xfee0_1000, data: 0x500))
        #expect(f.apic.takeSIPI() == nil)
        #expect(f.apic.accept(msiAddress: 0xfee0_1000, data: 0x69a))
        #expect(f.apic.takeINIT())
        #expect(f.apic.readRegister(offset: Offset.spurious) == 0xff, "INIT resets the registers")
        #expect(f.apic.takeSIPI() == 0x9a)
        #expect(f.apic.takeSIPI() == nil)
        #expect(!f.apic.takeINIT())
    }

    @Test func extINTMessageStandsUntilINTRFalls() {
        let f = Fixture()
        #expect(f.apic.accept(msiAddress: 0xfee0_0000, data: 0x700))
        #expect(f.apic.pendingInterrupt() == nil, "no INTR yet")
        f.apic.setLINT0(true)
        #expect(f.apic.pendingInterrupt() == .external)
        f.apic.setLINT0(false)
        f.apic.setLINT0(true)
        #expect(f.apic.pendingInterrupt() == nil)
    }

    @Test func lowestPriorityChoosesOne() {
        let all = (0..<4).map { Fixture(id: $0) }
        let apics = all.map(\.apic)
        for vector in UInt8(0x40)..<0x48 {
            #expect(LocalAPIC.route(msiAddress: 0xfeef_f000, data: 0x100 | UInt32(vector), among: apics))
        }
        let counts = all.map { f in
            (0..<8).filter { _ in
                f.take() != nil
                    ? {
                        f.endOfInterrupt(); return true
                    }() : false
            }.count
        }
        #expect(counts == [2, 2, 2, 2])
        #expect(!LocalAPIC.route(msiAddress: 0xfee0_9000, data: 0x141, among: apics))
    }

    // MARK: IPIs

    @Test func shorthandsAndDestinations() {
        let all = (0..<3).map { Fixture(id: UInt32($0)) }
        let apics = all.map(\.apic)
        let sender = apics[1]
        sender.sendIPI = { icr in LocalAPIC.route(icr, from: sender, among: apics) }
        func send(_ low: UInt32, to destination: UInt32 = 0) -> [UInt8?] {
            sender.writeRegister(offset: Offset.commandHigh, value: destination << 24)
            sender.writeRegister(offset: Offset.commandLow, value: low)
            return all.map { f in
                defer { f.endOfInterrupt() }
                return f.take()
            }
        }
        #expect(send(0x0041, to: 2) == [nil, nil, 0x41])
        #expect(send(0x0042, to: 1) == [nil, 0x42, nil])
        #expect(send(0x4_0043) == [nil, 0x43, nil], "self")
        #expect(send(0x8_0044) == [0x44, 0x44, 0x44], "all including self")
        #expect(send(0xc_0045) == [0x45, nil, 0x45], "all excluding self")
        #expect(send(0x0046, to: 0xff) == [0x46, 0x46, 0x46], "broadcast")
        #expect(send(0x000f, to: 2) == [nil, nil, nil], "an illegal vector is not sent")
        sender.writeRegister(offset: Offset.errorStatus, value: 0)
        #expect(sender.readRegister(offset: Offset.errorStatus) == 1 << 5)
        sender.writeRegister(offset: Offset.errorStatus, value: 0)
        #expect(sender.readRegister(offset: Offset.errorStatus) == 0)
        _ = send(0xc_4500)
        #expect(all.map { $0.apic.takeINIT() } == [true, false, true])
        _ = send(0x8500, to: 0)
        #expect(!all[0].apic.takeINIT(), "level de-assert")
    }

    @Test func aloneItDeliversToItself() {
        let f = Fixture()
        f.apic.writeRegister(offset: Offset.commandLow, value: 0x41)
        #expect(f.take() == 0x41)
        f.endOfInterrupt()
        f.apic.writeRegister(offset: Offset.commandLow, value: 0xc_0041)
        #expect(f.take() == nil)
    }

    @Test func errorsReachTheErrorVector() {
        let f = Fixture()
        f.apic.writeRegister(offset: Offset.lvtError, value: 0xfe)
        f.apic.post(vector: 5, levelTriggered: false)
        #expect(f.take() == 0xfe)
        f.endOfInterrupt()
        #expect(f.apic.readRegister(offset: 0x40) == 0)
        #expect(f.take() == 0xfe, "a reserved register")
        f.apic.writeRegister(offset: Offset.errorStatus, value: 0)
        #expect(f.apic.readRegister(offset: Offset.errorStatus) == 1 << 6 | 1 << 7)
    }

    @Test func postingFromManyThreadsLosesNothing() async {
        let f = Fixture()
        let apic = f.apic
        await withTaskGroup(of: Void.self) { group in
            for part in UInt8(0)..<4 {
                group.addTask {
                    for vector in UInt8(32)...255 where vector & 3 == part {
                        apic.post(vector: vector, levelTriggered: false)
                    }
                }
            }
        }
        var seen = Set<UInt8>()
        while let vector = f.take() {
            seen.insert(vector)
            f.endOfInterrupt()
        }
        #expect(seen == Set(32...255))
    }
}
