// The value of `--trace`: what to write down, and where.

import ArgumentParser
import Trapeze

/// A list of kinds of events, and a file: "exceptions,port=FILE".
struct TraceOption: Equatable {
    var events: TraceEvents
    /// Nil stands for standard error.
    var path: String?

    /// The kinds, as a list for help and messages.
    static let names = TraceEvents.named.map(\.name).joined(separator: ",")

    init(parsing text: String) throws {
        let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        let file = parts.count > 1 ? String(parts[1]) : "trapeze.trace"
        guard !file.isEmpty else { throw ValidationError("after = comes a file's name, or - for standard error") }
        path = file == "-" ? nil : file
        events = []
        for word in parts[0].split(separator: ",", omittingEmptySubsequences: false) {
            let name = String(word)
            let known = TraceEvents.named.map(\.name) + ["all"]
            if name == "all" {
                events.formUnion(.all)
            } else if let kind = TraceEvents.named.first(where: { $0.name == name }) {
                events.formUnion(kind.events)
            } else {
                throw ValidationError(
                    "unknown kind '\(name)'\(suggestion(for: name, among: known)); known are \(Self.names) and all")
            }
        }
    }

    /// Opens the file, before the run, so that a bad name costs none.
    func open() throws -> TraceFile {
        do throws(ConfigurationError) {
            return try TraceFile(path: path, events: events) { say("\($0); the run goes on without it") }
        } catch {
            throw Failure(error)
        }
    }
}
