"""Headers that only proxies add, by which a forwarded request is recognized."""

# Headers that proxies add and clients do not send by themselves. Those that clients send too
# (X-Request-Id, traceparent, X-Client-Version) prove nothing.
_FORWARDING = frozenset(
    {
        # for whom they forward, and by which protocol
        "client-ip",
        "forwarded",
        "front-end-https",
        "proxy-client-ip",
        "max-forwards",
        "proxy-connection",
        "true-client-ip",
        "via",
        "x-client-ip",
        "x-host",
        "x-http-host-override",
        "x-originating-ip",
        "x-rewrite-url",
        "x-scheme",
        "x-script-name",
        "x-source-ip",
        "x-true-client-ip",
        "x-url-scheme",
        # when the request arrived, and that it does not loop
        "cdn-loop",
        "surrogate-capability",
        "x-queue-start",
        "x-request-start",
        # content networks, clouds and gateways with a single header
        "disguised-host",
        "do-connecting-ip",
        "eagleid",
        "x-amz-cf-id",
        "x-cloud-trace-context",
        "x-site-deployment-id",
        "x-varnish",
        "x-waws-unencoded-url",
        # the user whom they authenticated
        "x-webauth-user",
    }
)
_FORWARDING_KINDS = (
    # of any proxy
    "x-cluster-client-",
    "x-forward",
    "x-ingress-",
    "x-original-",
    "x-prox",
    "x-real-",
    # Content networks, clouds and gateways
    "akamai-",
    "ali-cdn-",
    "cf-",
    "cloudfront-",
    "fastly-",
    "fly-",
    "incap-",
    "wl-proxy-",
    "x-akamai-",
    "x-amzn-",
    "x-appengine-",
    "x-appgw-",
    "x-arr-",
    "x-azure-",
    "x-consumer-",
    "x-envoy-",
    "x-fd-",
    "x-goog-authenticated-",
    "x-goog-iap-",
    "x-haproxy-",
    "x-kong-",
    "x-nf-",
    "x-nginx-",
    "x-sucuri-",
    "x-traefik-",
    "x-vercel-",
    # tunnels
    "ngrok-",
    "tailscale-",
    "x-ngrok-",
    # authenticating proxies that pass on the user's name
    "oidc-",
    "remote-",
    "shib-",
    "ssl-client-",
    "teleport-",
    "x-auth-request-",
    "x-authentik-",
    "x-ms-client-principal",
    "x-ms-token-",
    "x-pomerium-",
    "x-remote-",
    "x-ssl-",
)


def is_added_by_a_proxy(header: str) -> bool:
    """Whether a proxy, a content network or a tunnel adds headers of this name."""
    name = header.lower().replace("_", "-")
    return name in _FORWARDING or name.startswith(_FORWARDING_KINDS)
