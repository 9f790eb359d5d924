// One run of `trapeze explain`, from options to a report on standard output.

import CTerminal
import DebianGuest
import Disassembly
import Foundation
import Trapeze

struct ExplainSession {
    let options: ExplainCommand

    /// What ended the run before the guest did.
    private enum Interruption: Sendable {
        case timeout
        case signal(Int32)
        case consoleLost(Int32)
    }

    func run() async throws {
        // What can be found wrong is found before the run.
        let disassembler: Disassembler
        do throws(DisassemblyError) { disassembler = try Disassembler() } catch { throw Failure(error.description) }
        let symbols = try options.symbols.map(SymbolTable.init(path:))
        let range = try wantedRange(symbols)
        let report = try options.json.map { try ReportFile(path: $0, what: "report") }
        let record = try await record()
        let blocks = range.map { record.blocks(in: $0) } ?? record.hottest(options.hottest ?? 10)
        guard !blocks.isEmpty else {
            let place = options.symbol.map { "'\($0)'" } ?? range.map { "0x" + String($0.lowerBound, radix: 16) }
            throw Failure(
                place.map { "nothing was translated at \($0); \(record.count) blocks elsewhere were" }
                    ?? "nothing was translated: no code ran more than twice")
        }
        let text = ExplainReport(disassembler: disassembler, symbols: symbols, total: record.instructions)
        for (number, block) in blocks.enumerated() {
            if number > 0 { print() }
            for line in text.lines(block, number: number + 1, of: blocks.count) { print(line) }
        }
        try report?.write(text.json(blocks).text() + "\n")
    }

    /// The addresses that were asked for; nil for the hottest blocks.
    private func wantedRange(_ symbols: SymbolTable?) throws -> Range<UInt64>? {
        if let address = options.address?.value { return address..<max(address &+ 1, address) }
        guard let name = options.symbol, let symbols else { return nil }
        guard let range = symbols.range(of: name) else {
            throw Failure("no symbol '\(name)'\(suggestion(for: name, among: symbols.names))")
        }
        return range
    }

    private func record() async throws -> TranslationRecord {
        var machine = options.machine
        let isLinux = machine.guest == debianName || machine.kernel != nil
        if options.symbols != nil, isLinux { machine.append = (machine.append.map { $0 + " " } ?? "") + "nokaslr" }
        var configuration = machine.makeConfiguration()
        configuration.clockSource = options.clock
        let guest = try machine.prepareGuest(for: configuration, console: GuestConsole())
        configuration.bootLoader = guest.bootLoader
        let (events, post) = AsyncStream.makeStream(of: Interruption.self)
        let console = try Console(options.serial, endOfInput: []) { event in
            if case .lost(let error) = event { post.yield(.consoleLost(error)) }
        }
        configuration.serialPort = console.attachment
        let explanation: Explanation
        do throws(ConfigurationError) { explanation = try Explanation(configuration) } catch { throw Failure(error) }
        let signals = try SignalPipe { post.yield(.signal($0)) }
        defer { signals.close() }
        let limit = options.timeout.map { limit in
            Task {
                try await Task.sleep(for: .seconds(limit.seconds))
                post.yield(.timeout)
            }
        }
        let watcher = Task {
            for await event in events {
                await explanation.machine.stop()
                return Interruption?.some(event)
            }
            return nil
        }
        await explanation.machine.start()
        let outcome = await explanation.machine.wait()
        limit?.cancel()
        post.finish()
        let reason = await watcher.value
        if case .consoleLost(let error) = reason {
            console.abandon()
            throw Failure("serial console: \(String(cString: strerror(error)).lowercasedFirst)")
        }
        console.drain(seconds: reason == nil ? nil : 1)
        switch reason {
        case .timeout: say("the time limit of \(formatSeconds(options.timeout?.seconds ?? 0)) s is reached")
        case .signal: say("interrupted")
        default: say("the guest's end: \(RunEnd.machine(outcome).name)")
        }
        return explanation.finish()
    }
}
