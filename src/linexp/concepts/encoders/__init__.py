"""Encoders that find words in pictures, by name."""

from linexp.concepts.encoders.base import Encoder as Encoder
from linexp.concepts.encoders.base import check_texts as check_texts
from linexp.concepts.encoders.base import embed_prompts as embed_prompts
from linexp.concepts.encoders.base import storing as storing
from linexp.concepts.encoders.conse import ConSE as ConSE
from linexp.concepts.encoders.fit import fit_text_encoder as fit_text_encoder
from linexp.concepts.encoders.fitted import FittedEncoder as FittedEncoder
from linexp.concepts.encoders.huggingface import PAPER_ENCODERS as PAPER_ENCODERS
from linexp.concepts.encoders.load import load_encoder as load_encoder
from linexp.concepts.encoders.load import same_model as same_model
from linexp.concepts.encoders.open_clip import imagenet_names as imagenet_names
