# class: no_internet
# offline: yes
# shows: LocalEntryNotFoundError|OfflineModeIsEnabled|ConnectError|ConnectionError
import os
os.environ["HF_ENDPOINT"] = "https://no-such-host.invalid"
from huggingface_hub import hf_hub_download
hf_hub_download("bert-base-uncased", "config.json", cache_dir="/tmp/no-such-cache")
