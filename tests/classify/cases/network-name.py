# A name that is never found; the job had the network.
# class: network_timeout
# shows: URLError|gaierror
# options: {"internet": true}
import urllib.request
urllib.request.urlopen("http://no-such-host.invalid/", timeout=10)
