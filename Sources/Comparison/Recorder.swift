// The leader's side of the journal: stands between the leading engine and the machine, passes everything on, and notes it.

import Memory
import VirtualCPU

/// Notes what the leader is given.
// Sendable: touched on the machine's vCPU thread alone, by whom a machine in counted time does everything.
final class Recorder: @unchecked Sendable {
    var journal = Journal()
    private let clock: Clock
    /// Index of the exchange whose answer is awaited.
    private var open: Int?

    init(clock: Clock) { self.clock = clock }

    /// Whether a vCPU of the leader is in the middle of a question.
    var isAsking: Bool { open != nil }

    /// Asks the machine and notes the answer.
    func ask(_ question: Question, _ answer: () -> UInt64) -> UInt64 {
        journal.exchanges.append(Exchange(question: question))
        let index = journal.exchanges.count - 1
        let outer = open
        open = index
        let value = answer()
        open = outer
        journal.exchanges[index].answer = value
        return value
    }

    /// Notes what a device does.
    func note(_ delivery: Delivery) {
        if case .write(_, let bytes) = delivery { journal.writtenBytes += bytes.count }
        if let open {
            journal.exchanges[open].deliveries.append(delivery)
        } else {
            journal.between.append((clock.now(), delivery))
        }
    }
}

/// The machine's bus as the leading engine sees it.
final class RecordingBus: Bus {
    private let bus: any Bus
    private let recorder: Recorder

    init(_ bus: any Bus, _ recorder: Recorder) {
        self.bus = bus
        self.recorder = recorder
    }

    func readPort(_ port: UInt16, size: Int) -> UInt32 {
        UInt32(truncatingIfNeeded: recorder.ask(.readPort(port, size: size)) { UInt64(bus.readPort(port, size: size)) })
    }

    func writePort(_ port: UInt16, size: Int, value: UInt32) {
        _ = recorder.ask(.writePort(port, size: size, value: value)) {
            bus.writePort(port, size: size, value: value)
            return 0
        }
    }

    func readMMIO(_ address: UInt64, size: Int) -> UInt64 {
        recorder.ask(.readMMIO(address, size: size)) { bus.readMMIO(address, size: size) }
    }

    func writeMMIO(_ address: UInt64, size: Int, value: UInt64) {
        _ = recorder.ask(.writeMMIO(address, size: size, value: value)) {
            bus.writeMMIO(address, size: size, value: value)
            return 0
        }
    }

    func acknowledgeInterrupt() -> UInt8 {
        UInt8(truncatingIfNeeded: recorder.ask(.acknowledge) { UInt64(bus.acknowledgeInterrupt()) })
    }

    func endOfInterrupt(vector: UInt8) {
        _ = recorder.ask(.endOfInterrupt(vector: vector)) {
            bus.endOfInterrupt(vector: vector)
            return 0
        }
    }
}
