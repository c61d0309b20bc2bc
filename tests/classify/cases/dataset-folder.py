# class: dataset_missing
# shows: /kaggle/input/images
import os
os.listdir("/kaggle/input/images")
