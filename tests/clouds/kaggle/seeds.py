"""What the world holds at its start, and what a script plants in it."""
from competitions import Competition
from datasets import Dataset
from kernels import save_kernel
from storage import Bytes
from world import OFFICIAL_USERS

PASSENGERS = [(n, (n * 7 + n // 3) % 2) for n in range(892, 912)]
TITANIC = {
    "title": "Titanic - Machine Learning from Disaster", "entered": True, "daily": 10,
    "files": {
        "train.csv": "PassengerId,Survived,Sex\n" + "".join(f"{n},{n % 2},{'fm'[n % 2]}\n" for n in range(1, 41)),
        "test.csv": "PassengerId,Sex\n" + "".join(f"{n},f\n" for n, _ in PASSENGERS),
        "gender_submission.csv": "PassengerId,Survived\n" + "".join(f"{n},0\n" for n, _ in PASSENGERS)},
    "solution": {str(n): str(answer) for n, answer in PASSENGERS},
    "leaderboard": [["Ada", "1.00000"], ["Grace, \"the\" Admiral", "0.82000"], ["名無し", "0.77511"]]}
CLOSED = {"title": "Closed shop", "entered": False, "files": {"data.csv": "a,b\n1,2\n"}}
START = {
    "users": OFFICIAL_USERS,
    "competitions": {"titanic": TITANIC, "closed-shop": CLOSED},
    "datasets": {"bob/penguins": {"title": "Palmer penguins", "licenseName": "CC0-1.0",
                                  "files": {"penguins.csv": "species,mass\nadelie,3700\n"}}},
    "kernels": {"bob/public-demo": {"newTitle": "Public demo", "text": "print('from bob')\n", "language": "python",
                                    "kernelType": "script", "isPrivate": False},
                "bob/secret-demo": {"newTitle": "Secret demo", "text": "print('not for you')\n", "language": "python",
                                    "kernelType": "script", "isPrivate": True}},
}


def plant(world, script):
    for slug, spec in script.get("users", {}).items():
        world.add_user(slug, spec)
    for slug, spec in script.get("competitions", {}).items():
        world.competitions[slug] = Competition(world, slug, spec)
    for ref, spec in script.get("datasets", {}).items():
        plant_dataset(world, *ref.split("/"), spec)
    for ref, spec in script.get("kernels", {}).items():
        plant_kernel(world, ref, spec)


def plant_dataset(world, owner, slug, spec):
    dataset = Dataset(world, owner, slug, spec.get("title", slug), spec)
    world.datasets[owner, slug] = dataset
    files = {name: Bytes(body.encode()) for name, body in spec.get("files", {}).items()}
    dataset.add(files, "", spec.get("seconds", 0))


def plant_kernel(world, ref, spec):
    """A kernel that is there already: a script's QUICK_SAVE unless `"kernelExecutionType": ""` says to run it.
    It leaves no trace in the oracle unless it runs."""
    args = {"slug": ref, "language": "python", "kernelType": "script", "newTitle": ref.split("/")[1].replace("-", " "),
            "kernelExecutionType": "QUICK_SAVE", **spec}
    before = len(world.effects)
    save_kernel(world, world.users[ref.split("/")[0]], args)
    if args["kernelExecutionType"] == "QUICK_SAVE":
        del world.effects[before:]
