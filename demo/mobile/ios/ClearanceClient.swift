// An API client for iOS that obeys a gatepass gate. A sample: copy it and make it yours. It was not compiled here.
// iOS 15 or newer, nothing but Foundation.
import Foundation

/// The gate, or the challenge, said no for good: `code` is its public code. Never tried again by itself.
struct ClearanceRefused: Error {
    let code: String
    let retryAfterSeconds: Int?
}

actor ClearanceClient {
    /// Body of a TURNSTILE_REQUIRED or CLEARANCE_EXPIRED.
    private struct Challenge: Decodable {
        let error: String
        let challenge_id: String
        let original_request_id: String
        let scope: [String]
    }

    private struct Answer: Decodable {
        let app_clearance_token: String
        let expires_in: Double
        let scope: [String]
        let max_uses: Int
    }

    private struct Refusal: Decodable {
        let error: String
        let retry_after_seconds: Int?
    }

    private struct Clearance {
        let token: String
        let scope: [String]
        var uses: Int
        /// Of `systemUptime`, not of the wall's clock: nobody has to set it right.
        let until: TimeInterval
    }

    private let baseURL: URL
    private let session: URLSession
    private let deviceID: String
    private let appVersion: String
    private let solve: @Sendable (_ challengeID: String) async throws -> String
    /// In memory only: never in UserDefaults, never on disk.
    private var held: [Clearance] = []
    /// The challenge that is under way for a scope: requests that come meanwhile wait for it, and share the clearance.
    private var flights: [[String]: Task<Clearance, Error>] = [:]

    /// - Parameters:
    ///   - baseURL: the API's origin, https
    ///   - deviceID: 1 to 64 of A-Z a-z 0-9 . _ -, made once by the app (a random UUID, kept in its own storage); never a hardware identifier
    ///   - solve: shows the challenge and gives Turnstile's token: `TurnstileChallenge.solve`
    init(
        baseURL: URL, deviceID: String, appVersion: String, session: URLSession = .shared,
        solve: @escaping @Sendable (_ challengeID: String) async throws -> String
    ) {
        self.baseURL = baseURL
        self.deviceID = deviceID
        self.appVersion = appVersion
        self.session = session
        self.solve = solve
    }

    /// Sends a request; on TURNSTILE_REQUIRED or CLEARANCE_EXPIRED solves one challenge and sends it once more, with the same id and body.
    /// The user's own Authorization stays as it is. A body that is a stream cannot be sent again: use `httpBody`.
    func data(for original: URLRequest) async throws -> (Data, HTTPURLResponse) {
        guard let url = original.url, url.scheme == "https", url.host == baseURL.host, url.port == baseURL.port, original.httpBodyStream == nil
        else { throw URLError(.unsupportedURL) }
        var request = original
        request.setValue(deviceID, forHTTPHeaderField: "X-Device-Id")
        request.setValue(appVersion, forHTTPHeaderField: "X-App-Version")
        if request.value(forHTTPHeaderField: "X-Request-Id") == nil {
            request.setValue(UUID().uuidString, forHTTPHeaderField: "X-Request-Id")
        }
        let clearance = take { one in one.scope.contains { Self.covers($0, url.path) } }
        let first = try await send(request, clearance)
        guard let asked = Self.challenge(in: first) else { return first }
        // What the gate did not take once it does not take again.
        if let clearance { held.removeAll { $0.token == clearance.token } }
        let second = try await send(request, try await obtain(asked))
        // Twice is the end: a loop would be a challenge for every request, for ever.
        if let again = Self.challenge(in: second) { throw ClearanceRefused(code: again.error, retryAfterSeconds: nil) }
        return second
    }

    private func send(_ request: URLRequest, _ clearance: Clearance?) async throws -> (Data, HTTPURLResponse) {
        var armed = request
        if let clearance { armed.setValue(clearance.token, forHTTPHeaderField: "X-App-Clearance") }
        let (data, response) = try await session.data(for: armed, delegate: NoRedirects())
        guard let answer = response as? HTTPURLResponse else { throw URLError(.badServerResponse) }
        return (data, answer)
    }

    private static func challenge(in answer: (Data, HTTPURLResponse)) -> Challenge? {
        guard answer.1.statusCode == 403, let body = try? JSONDecoder().decode(Challenge.self, from: answer.0) else { return nil }
        return ["TURNSTILE_REQUIRED", "CLEARANCE_EXPIRED"].contains(body.error) ? body : nil
    }

    /// A use of a clearance for what was asked: one in hand, or a new one.
    private func obtain(_ asked: Challenge) async throws -> Clearance {
        while true {
            if let found = take({ one in asked.scope.allSatisfy { one.scope.contains($0) } }) { return found }
            if let flight = flights[asked.scope] {
                _ = try await flight.value
                continue
            }
            let flight = Task { try await self.verify(asked) }
            flights[asked.scope] = flight
            defer { flights[asked.scope] = nil }
            return try await flight.value
        }
    }

    /// A new clearance; one use of it is the caller's already.
    private func verify(_ asked: Challenge) async throws -> Clearance {
        guard let url = URL(string: "/api/security/turnstile/verify", relativeTo: baseURL) else { throw URLError(.badURL) }
        let token = try await solve(asked.challenge_id)
        var request = URLRequest(url: url)
        request.httpMethod = "POST"
        request.setValue("application/json", forHTTPHeaderField: "Content-Type")
        request.httpBody = try JSONEncoder().encode([
            "challenge_id": asked.challenge_id,
            "turnstile_token": token,
            "original_request_id": asked.original_request_id,
            "device_id": deviceID,
            "app_version": appVersion,
        ])
        let started = ProcessInfo.processInfo.systemUptime
        var answer = try? await send(request, nil)
        // An answer may be lost on the way: the same token for the same challenge gives the same clearance, so once more is safe.
        if answer == nil || answer?.1.statusCode == 503 {
            try await Task.sleep(nanoseconds: 500_000_000)
            answer = try await send(request, nil)
        }
        guard let (data, response) = answer, response.statusCode == 200, let body = try? JSONDecoder().decode(Answer.self, from: data),
            body.max_uses > 0
        else {
            let refusal = answer.flatMap { try? JSONDecoder().decode(Refusal.self, from: $0.0) }
            throw ClearanceRefused(code: refusal?.error ?? "UNAVAILABLE", retryAfterSeconds: refusal?.retry_after_seconds)
        }
        let clearance = Clearance(
            token: body.app_clearance_token, scope: body.scope, uses: body.max_uses - 1, until: started + body.expires_in)
        held.append(clearance)
        return clearance
    }

    private func take(_ fits: (Clearance) -> Bool) -> Clearance? {
        let now = ProcessInfo.processInfo.systemUptime
        held.removeAll { $0.uses <= 0 || $0.until <= now }
        guard let index = held.firstIndex(where: fits) else { return nil }
        held[index].uses -= 1
        return held[index]
    }

    /// Whether to try: the gate decides.
    private static func covers(_ pattern: String, _ path: String) -> Bool {
        let plain = path.lowercased()
        return pattern.hasSuffix("/*") ? (plain + "/").hasPrefix(pattern.dropLast()) : plain == pattern || plain == pattern + "/"
    }
}

/// A redirect would carry the clearance to wherever it leads.
private final class NoRedirects: NSObject, URLSessionTaskDelegate {
    func urlSession(
        _ session: URLSession, task: URLSessionTask, willPerformHTTPRedirection response: HTTPURLResponse, newRequest request: URLRequest
    ) async -> URLRequest? { nil }
}
