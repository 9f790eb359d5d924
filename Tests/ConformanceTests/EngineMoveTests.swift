// A whole machine that moves between engines every few milliseconds while its guest runs, devices and all, until the guest has
// checked itself and ended as it declares.

import Guests
import Machine
import TestSupport
import Testing
import VirtualCPU

extension MachineSuite {
    @Suite struct EngineMoves {
        private static let guests = StateTransfer.guests
        private static let seed = setting("TRAPEZE_SEED", default: 1)

        /// Clock time on an engine before the next move, in nanoseconds: some milliseconds. Software runs some hundred times as
        /// fast as a KVM that emulates, and short guests have to move, too: there it begins with a few microseconds.
        private static func stay(
            on engine: TestEngine, after moves: Int, _ generator: inout SplitMix64
        ) -> UInt64 {
            let longest: UInt64 = engine.engine.name == "kvm" ? 5_000_000 : 20_000 << UInt64(min(moves / 4, 7))
            return UInt64.random(in: longest / 5...longest, using: &generator)
        }

        @Test("A guest that moves between all engines ends as it declares", arguments: guests, 0..<2)
        func moves(guest: EmbeddedGuest, round: Int) async throws {
            var engines: [TestEngine] = []
            for engine in TestEngine.all {
                if let obstacle = engine.obstacle(to: guest.need) {
                    print("'\(guest.name)' moves between the other engines: \(obstacle)")
                } else {
                    engines.append(engine)
                }
            }
            var generator = SplitMix64(seed: UInt64(Self.seed + round))
            var next = round
            var test = try TestMachine(guest, engine: engines[next % engines.count].engine)
            var console: [UInt8] = []
            var moves = 0
            var end: TestMachine.End?
            while end == nil {
                let state = try test.machine.exportState()
                let time = state.time + Self.stay(on: engines[next % engines.count], after: moves, &generator)
                end = await test.run(until: time, limit: .seconds(60))
                guard end == nil else { break }
                try #require(moves < 10_000, "the guest does not come to its end")
                let moved = try test.machine.exportState()
                test.machine.stop()
                _ = await test.machine.wait()
                console += test.console.bytes
                next += 1
                test = try TestMachine(
                    guest.bootSource, restoring: moved, engine: engines[next % engines.count].engine, clock: .host)
                moves += 1
            }
            console += test.console.bytes
            print("'\(guest.name)' moved \(moves) times between \(engines.map(\.engine.name).joined(separator: ", "))")
            let place: Comment = "\(moves) moves, seed \(Self.seed), round \(round)"
            #expect(end == guest.expected.end, place)
            let text = String(decoding: console, as: UTF8.self)
            if let difference = guest.expected.difference(from: text) {
                Issue.record("\(difference), after \(moves) moves\nThe console:\n\(text)")
            }
        }
    }
}
