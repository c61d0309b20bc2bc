# class: gpu
# next: backend
# shows: LightGBMError: .*(CUDA|GPU) Tree Learner was not enabled
import lightgbm
import numpy as np
lightgbm.train({"device": "cuda", "verbose": -1}, lightgbm.Dataset(np.ones((50, 2)), np.ones(50)))
