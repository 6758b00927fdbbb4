// The challenge of a gatepass gate in a WKWebView. A sample: copy it and make it yours. It was not compiled here.
// iOS 15 or newer.
import UIKit
import WebKit

/// What the page said instead of a token: Turnstile's number, or timeout, unsupported, blocked, expired, page.
struct ChallengeFailed: Error {
    let error: String
}

/// One challenge. Make a new one for each: `try await TurnstileChallenge(baseURL: url, in: window).solve(challengeID)`.
@MainActor
final class TurnstileChallenge: NSObject, WKNavigationDelegate, WKScriptMessageHandler {
    private static let bridge = "turnstile"
    private static let provider = "challenges.cloudflare.com"
    private static let reveal: TimeInterval = 5
    private static let timeout: TimeInterval = 120

    private let baseURL: URL
    private let window: UIView
    private var page: URL?
    private var view: WKWebView?
    private var waiting: CheckedContinuation<String, Error>?
    private var timers: [Timer] = []

    /// - Parameter baseURL: the API's origin, https: its hostname is one of those that the Turnstile widget is set up for
    init(baseURL: URL, in window: UIView) {
        self.baseURL = baseURL
        self.window = window
    }

    /// Turnstile's token, once. It is handed to the verification and nowhere else: not logged, not kept.
    func solve(_ challengeID: String) async throws -> String {
        var parts = URLComponents(url: baseURL, resolvingAgainstBaseURL: false)
        parts?.path = "/mobile-turnstile"
        parts?.queryItems = [URLQueryItem(name: "challenge_id", value: challengeID)]
        guard let page = parts?.url, waiting == nil else { throw ChallengeFailed(error: "page") }
        self.page = page
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                waiting = continuation
                start(page)
            }
        } onCancel: {
            Task { @MainActor in self.end(.failure(CancellationError())) }
        }
    }

    private func start(_ page: URL) {
        let configuration = WKWebViewConfiguration()
        configuration.defaultWebpagePreferences.allowsContentJavaScript = true
        configuration.preferences.javaScriptCanOpenWindowsAutomatically = false
        // Local storage is on in every data store; the default one is the same from challenge to challenge.
        configuration.websiteDataStore = .default()
        configuration.userContentController.add(self, name: Self.bridge)
        // In the window, however small: a view that is not shown is not run. The user agent stays the WebView's own: one that is made up, or changes, fails.
        let view = WKWebView(frame: CGRect(x: 0, y: 0, width: 1, height: 1), configuration: configuration)
        view.navigationDelegate = self
        window.addSubview(view)
        self.view = view
        // An invisible challenge is done by then; whatever takes longer may be waiting for a person.
        after(Self.reveal) { [weak self] in
            guard let self, let view = self.view else { return }
            view.frame = self.window.bounds
            view.autoresizingMask = [.flexibleWidth, .flexibleHeight]
        }
        after(Self.timeout) { [weak self] in self?.end(.failure(ChallengeFailed(error: "timeout"))) }
        // The page itself, from its server: HTML of the app's own under a made-up base URL, or file://, has no hostname that the widget allows.
        view.load(URLRequest(url: page, cachePolicy: .reloadIgnoringLocalCacheData))
    }

    private func end(_ result: Result<String, Error>) {
        guard let waiting else { return }
        self.waiting = nil
        timers.forEach { $0.invalidate() }
        timers = []
        // The controller holds its handlers: without this the view would never go.
        view?.configuration.userContentController.removeScriptMessageHandler(forName: Self.bridge)
        view?.navigationDelegate = nil
        view?.stopLoading()
        view?.removeFromSuperview()
        view = nil
        waiting.resume(with: result)
    }

    private func after(_ seconds: TimeInterval, _ work: @escaping @MainActor @Sendable () -> Void) {
        timers.append(Timer.scheduledTimer(withTimeInterval: seconds, repeats: false) { _ in Task { @MainActor in work() } })
    }

    // The handler is injected into every frame: only our own page, in the main frame, is listened to.
    func userContentController(_ controller: WKUserContentController, didReceive message: WKScriptMessage) {
        let origin = message.frameInfo.securityOrigin
        guard message.frameInfo.isMainFrame, origin.protocol == "https", origin.host == baseURL.host,
            origin.port == baseURL.port ?? 0, let told = message.body as? [String: Any], let type = told["type"] as? String
        else { return }
        switch type {
        case "TURNSTILE_SUCCESS":
            guard let token = told["token"] as? String else { return }
            end(.success(token))
        case "TURNSTILE_ERROR": end(.failure(ChallengeFailed(error: told["error"] as? String ?? "unknown_error")))
        case "TURNSTILE_EXPIRED": end(.failure(ChallengeFailed(error: "expired")))
        default: break
        }
    }

    func webView(_ webView: WKWebView, decidePolicyFor action: WKNavigationAction) async -> WKNavigationActionPolicy {
        guard let url = action.request.url else { return .cancel }
        // No target frame: a new window.
        guard let frame = action.targetFrame else { return .cancel }
        if frame.isMainFrame { return url == page ? .allow : .cancel }
        if url.scheme == "https" && url.host == Self.provider { return .allow }
        return ["blob", "data"].contains(url.scheme) || ["about:blank", "about:srcdoc"].contains(url.absoluteString) ? .allow : .cancel
    }

    // 403: the challenge is over, or none of ours.
    func webView(_ webView: WKWebView, decidePolicyFor response: WKNavigationResponse) async -> WKNavigationResponsePolicy {
        guard response.isForMainFrame, (response.response as? HTTPURLResponse)?.statusCode != 200 else { return .allow }
        end(.failure(ChallengeFailed(error: "page")))
        return .cancel
    }

    func webView(_ webView: WKWebView, didFailProvisionalNavigation navigation: WKNavigation!, withError error: Error) {
        end(.failure(ChallengeFailed(error: "page")))
    }

    func webView(_ webView: WKWebView, didFail navigation: WKNavigation!, withError error: Error) {
        end(.failure(ChallengeFailed(error: "page")))
    }

    func webViewWebContentProcessDidTerminate(_ webView: WKWebView) {
        end(.failure(ChallengeFailed(error: "page")))
    }
}
