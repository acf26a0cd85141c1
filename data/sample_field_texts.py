"""What the field surveyors of the sample and their agent say; written for this project, like `sample_texts`.

Texts only: the sessions that they become are in `sample_sessions`.
"""

from collections.abc import Mapping

from sample_texts import Tool, tool

__all__ = [
    *("ANSWERS", "DOSSIER", "FIRST_ANSWERS", "FIRST_QUESTIONS", "LOOKUP_ASK", "LOOKUP_SAY", "NOTES", "POOLS"),
    *("RECORD", "RESULT", "REVIEW", "SYSTEM", "TOOLS"),
]

SYSTEM = """\
You keep the field book of Larch & Sedge, an ecology consultancy. Surveyors talk to you from the site, on phones with a
poor signal: notes arrive one at a time, or many at once when the phone has found a network again.

# Rules
- A note is evidence. Keep its time, grid reference, species, count and method exactly; never round, never guess.
- Answer in one or two sentences. The surveyor stands in the rain.
- Say at once if a note contradicts the dossier, an earlier note, or the season: wrong ponds are the commonest mistake.
- Protected species: name the licence that a disturbance would need, and remind of the distance to keep.
- Names are those of the dossier. A common name that fits two species is asked back.
- Look things up with the tools, many at once if many are asked for. File a record only when the surveyor says so.
- Do not write the report. The office does, from your field book, the day after.
"""

TOOLS: tuple[Tool, ...] = (
    tool(
        "species_status",
        "Legal protection and conservation status of a species.",
        name="string: Common or scientific name",
        country="england|wales|scotland: Where the site is",
    ),
    tool(
        "past_records",
        "Records of a species near a grid reference, newest first.",
        name="string: Common or scientific name",
        grid="string: Grid reference of six figures",
        years="integer?: How far to go back; default 10",
    ),
    tool(
        "file_record",
        "File a record with the local records centre; can't be undone.",
        name="string: Scientific name",
        grid="string: Grid reference of eight figures",
        count="string: Number, or a range",
        method="string: How it was found",
    ),
)

DOSSIER = """\
DOSSIER {number}: {site}
Client: {client}. Proposal: {proposal}. Survey season 2026, visit {visit} of 6.

The site covers {area} hectares, {height} metres above sea level, on {soil}. It is bounded by {bound} in the north and by
{bound2} in the south. Access is from the lay-by at {grid}; the gate code is with the office. The farmer, who has to be
called an hour before, keeps {stock} in the lower fields from May on: never leave a gate as you did not find it.

Habitats, as mapped in the desk study: {habitat}, about {p1} per cent; {habitat2}, about {p2} per cent; the rest is track,
spoil and bramble. Ponds are numbered from the gate, clockwise. Pond 1 is a farm pond with a stone edge, pond 2 the deep
one behind the hedge; the others dry out in a warm June and must not be waded before that.

What the client must know by the end of the season: whether great crested newts breed here; which trees hold bat roosts,
and of which species; whether the ditch is used by water voles; and which birds hold territories within {distance} metres
of the working strip. Invertebrates and plants are noted where seen, with a photograph for anything that is not common.

Hazards: {hazard}; {hazard2}. Nobody enters the water alone. Report in at the hours agreed, or the office calls the farmer
first and the coast guard second. The nearest emergency department is in {town}, {minutes} minutes by road.

Earlier visits left open: {open1}. {open2}. Bring both up in the field book as soon as a note bears on them.

Past records within two kilometres, from the local records centre:
"""

RECORD = "{year}  {grid}  {species}  {count}  {method}  {observer}"

POOLS: Mapping[str, tuple[str, ...]] = {
    "site": ("Coldwell Farm", "Harrow Fen", "Tansy Bottom", "Low Skerrow", "Otterburn Carr", "Penny Moss", "Withy Lane"),
    "client": ("Northmark Rail", "Quarry & Sons", "the drainage board", "Brightwater Homes", "Pylon Works"),
    "proposal": ("a passing loop", "forty houses and a pumping station", "a buried cable", "a gravel pit's extension"),
    "soil": ("boulder clay", "peat over gravel", "chalk with flints", "alluvium"),
    "bound": ("a railway cutting", "the old canal", "a shelter belt of larch", "a sunken lane", "the river wall"),
    "stock": ("bullocks", "a flock of Herdwicks", "two ponies and a ram", "dry cows"),
    "habitat": ("semi-improved neutral grassland", "wet woodland", "reedbed", "marshy grassland", "arable margin"),
    "hazard": ("a bull that is not in the farmer's list", "soft mud at the outfall", "unfenced shafts", "ticks"),
    "town": ("Selby", "Brecon", "Kelso", "Boston", "Ludlow"),
    "open": (
        "a dropping below the ash at the gate, not yet identified",
        "burrows in the ditch that may be of rats only",
        "a singing bird in the reeds, heard once, not seen",
        "eggs folded into leaves of water mint in pond 3, photographed without a scale",
    ),
    "species": (
        *("great crested newt", "smooth newt", "palmate newt", "common toad", "grass snake", "slow worm"),
        *("water vole", "otter", "noctule", "brown long-eared bat", "common pipistrelle", "Daubenton's bat"),
        *("reed bunting", "sedge warbler", "lapwing", "yellow wagtail", "barn owl", "kingfisher", "linnet", "curlew"),
        *("hairy dragonfly", "white-legged damselfly", "marsh marigold", "ragged robin", "southern marsh orchid"),
    ),
    "method": ("torch", "bottle trap", "netting", "walked transect", "static detector", "by eye", "dip, ten sweeps"),
    "observer": ("A. Prowse", "K. Tennant", "M. Osei", "R. Lindgren", "county atlas"),
    "where": ("by the sluice", "in pond 1", "in pond 2", "under the third refuge", "on the north bank", "at the culvert"),
    "weather": ("light rain", "dry, no wind", "mist over the water", "8 oktas, force 2", "clearing from the west"),
    "doing": ("not disturbed", "calling", "carrying food", "basking", "gone before a photograph", "in amplexus"),
}

FIRST_QUESTIONS = (
    "I'm at the gate. Which of the open points can I settle today, in what order? {weather}, sunset in {d1} hours.",
    "List the protected species in these records, with the newest year and the nearest grid reference of each.",
    "List the hazards and everything I have to do before I enter, as a checklist to tick off.",
)

FIRST_ANSWERS = (
    "Start at pond 2 while there is light for the leaves, then the ditch, then the ash at dusk. Keep {d1} metres off "
    "the bank until you have looked for fresh cuttings. Pond 3 only if it has water.",
    "Newest first: great crested newt 2025, water vole 2024, barn owl 2024, noctule 2023, otter 2021. All lie within "
    "{d1} hundred metres of the strip; two of the newt records have no count.",
    "1. Call the farmer, an hour ahead. 2. Report in. 3. Boots and net disinfected. 4. Gate as found. 5. Not into the "
    "water alone. 6. Ticks: check at {d1} and when you leave.",
)

NOTES = (
    "{time} {grid}: {species}, {count}, {where}, {method}, {doing}.",
    "{time} {where}: {count} {species} at {grid}. {weather}. {method}.",
    "{time}. {species} {where}, {count}, {doing}; photo {n1}. Grid {grid}.",
    "{time} no {species} {where} in {d1} minutes, {method}, {grid}; {weather}.",
    "{time} {grid}, {method}: {species} {count} and one {species2}, {doing}.",
)

ANSWERS = (
    "Noted. {species} {where} agrees with the records; keep your distance and leave it undisturbed.",
    "Noted, all of it. The count at {grid} is higher than in any year of the dossier: please check it once.",
    "In the book. One question: was {where} torch or trap? The note at {time} says both.",
    "Noted. That settles one open point, if the photograph shows a scale. Next is the ditch.",
    "In the book. A disturbance there would need a licence, so stay on the path until dusk.",
)

REVIEW = (
    "Read back what we have for {species}, with times.",
    "Did I miss a pond? Compare with the dossier, please.",
    "What is left of the open points?",
)
LOOKUP_ASK = "Status and past records for everything on this list, please: {list}."
LOOKUP_SAY = "I look all of them up at once."
RESULT = "{species}: {status}; {n1} records in ten years, newest 20{year}, nearest {grid}."
