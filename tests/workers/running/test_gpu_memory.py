"""What a GPU's driver says of its memory."""

from workers.running.gpu_memory import MEBIBYTE, read_memory


def test_each_gpu_is_read_and_one_that_says_nothing_is_left_out() -> None:
    told = "NVIDIA H200, 1024, 143771\nNVIDIA Odd, Inc. 2, [N/A], [N/A]\nNVIDIA A, B, 0, 16\n"
    assert read_memory(told) == [
        ("NVIDIA H200", 1024 * MEBIBYTE, 143771 * MEBIBYTE),
        ("NVIDIA A, B", 0, 16 * MEBIBYTE),
    ]
    assert read_memory("") == []
