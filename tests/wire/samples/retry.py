"""The official client as its page makes it: only the address is given, the key is in ELEVENLABS_API_KEY.

python retry.py URL BATCH
"""

import sys

from elevenlabs import ElevenLabs

url, batch = sys.argv[1:]
sys.stdout.write(ElevenLabs(base_url=url).conversational_ai.batch_calls.retry(batch_id=batch).model_dump_json())
