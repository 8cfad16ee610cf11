"""Prompts of the exactness proofs, fixed beforehand, of mixed length."""

SYSTEM = "You are the assistant of a small museum. Answer in a friendly tone."

QUESTIONS = [
    "How do I make a lentil soup?",
    "How do I kill a Python process?",
    "Hi",
    "What should I look for when I shoot a film in low light?",
    "Write two sentences about the sea.",
    "Explain to a child why leaves turn red in autumn, and mention why some trees stay green all year round.",
    "List three uses of a paper clip.",
    "Translate to French: Good morning, how are you today?",
    "My printer shows error 0x61000f72 & stops; I've <restarted> it twice already. What now?",
    "def add(a, b):\n    return a + b\n\nWrite a test for this function.",
    "Which of these is heavier: a kilogram of feathers or a kilogram of iron? Think about it first, then say why people "
    "often get it wrong, and give one more example of a question that tricks people in the same way.",
    "Summarise: The museum opens at nine. On Mondays it is closed. Children under six do not pay. Guided tours begin "
    "at eleven and at three, last an hour, and cost four euros on top of the ticket. Dogs must wait outside, where "
    "there is water for them. Photographs are allowed without flash. The cafe on the roof sells soup and cake, and "
    "from its terrace one can see the river, the old bridge and, on clear days, the mountains.",
    "What is 17 * 23?",
    "I feel a bit lonely since I moved to a new city. Do you have ideas how I could meet people?",
    "Erzähle mir einen kurzen Witz.",
    "Give me a recipe that uses only rice, eggs and one vegetable of my choice, please.",
]
