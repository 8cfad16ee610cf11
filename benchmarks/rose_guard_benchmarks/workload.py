"""What is asked: ordinary chat prompts of mixed length, and questions about a long passage."""

from __future__ import annotations

from rose_guard.message import Message

LONG_ANSWERS = (
    "Explain step by step how a bicycle stays upright, as if to a curious twelve-year-old.",
    "Write a short story about a lighthouse keeper who finds a message in a bottle.",
    "Describe how bread is made, from the grain in the field to the loaf on the table.",
    "Give me advice on how to prepare for my first job interview, in full sentences.",
    "Explain what happens in the sky during a thunderstorm.",
)

CHAT = (
    "How do I make a lentil soup?",
    "Hi",
    "What should I look for when I shoot a film in low light?",
    "Write two sentences about the sea.",
    "Explain to a child why leaves turn red in autumn, and mention why some trees stay green all year round.",
    "List three uses of a paper clip.",
    "Translate to French: Good morning, how are you today?",
    "My printer shows an error and stops; I have restarted it twice already. What now?",
    "Which is heavier: a kilogram of feathers or a kilogram of iron? Say why people often get it wrong.",
    "Summarise: The museum opens at nine. On Mondays it is closed. Guided tours begin at eleven and last an hour.",
    "What is 17 * 23?",
    "I feel a bit lonely since I moved to a new city. Do you have ideas how I could meet people?",
    "Give me a recipe that uses only rice, eggs and one vegetable of my choice, please.",
    "What is the capital of Portugal, and what is it known for?",
    "How can I keep my houseplants alive while I am away for two weeks?",
    "Write a polite email that asks a colleague to move our meeting to Thursday.",
)

_ROOMS = (
    ("ropes", "hemp fibres that were twisted in a shed four hundred metres long", "1782", "Ingrid Solheim"),
    ("compasses", "brass bowls in which a magnetised card floats on alcohol", "1811", "Tomas Verhulst"),
    ("charts", "copper plates from which sea charts were printed by hand", "1834", "Amira Haddad"),
    ("lamps", "glass lenses that bundle the light of a single oil flame", "1857", "Petra Novak"),
    ("bells", "bronze bells which were rung in fog by a clockwork", "1869", "Hugh Pendry"),
    ("sails", "canvas panels that six women sewed in one winter", "1878", "Lucia Moretti"),
    ("engines", "a steam engine that drove the harbour's only crane", "1911", "Maren Lund"),
)


def question(text: str) -> tuple[Message, ...]:
    """A conversation of one user turn."""
    return (Message("user", text),)


def passage(number: int) -> str:
    """About a thousand tokens about the rooms of a museum; another text for every number."""
    paragraphs = [
        f"Room {number * 10 + i} of the harbour museum shows {what}. Its centre piece are {thing}, made in {year}. "
        f"The collection was brought together by {who}, who spent {7 + i + number} years on it and gave it to the "
        f"town on the condition that entry stays free on Sundays. Visitors may touch the pieces on the long table, but "
        f"not those behind glass. A tour of this room takes {15 + 5 * i} minutes and begins at the door with the blue "
        f"sign. In the drawer under the window lies a logbook in which {who} wrote down, for each piece, where it was "
        f"found, what was paid for it and which repairs it has seen."
        for i, (what, thing, year, who) in enumerate(_ROOMS)
    ]
    return "\n\n".join(paragraphs)


def about(number: int) -> tuple[Message, ...]:
    """A request whose answer quotes a passage."""
    room = number % len(_ROOMS)
    return question(
        f"{passage(number)}\n\nRepeat the paragraph above that begins with: Room {number * 10 + room} of the harbour "
        f"museum shows {_ROOMS[room][0]}"
    )
