"""Names in option files of other programs and of earlier versions of BasicSR."""

RENAMED = {
    'gpu_ids': 'num_gpu',
    'use_flip': 'use_hflip',
    'n_workers': 'num_worker_per_gpu',
    'num_worker': 'num_worker_per_gpu',
    'batch_size': 'batch_size_per_gpu',
    'niter': 'total_iter',
    'pretrain_model_g': 'pretrain_network_g',
    'pretrain_model_d': 'pretrain_network_d',
    'strict_load': 'strict_load_g',
    'pixel_weight': 'pixel_opt: {loss_weight: ...}',
}
"""Names of earlier versions of BasicSR, which the current one ignores, and their current names."""

PROVIDERS = {
    'GFPGANv1': 'gfpgan',
    'GFPGANv1Clean': 'gfpgan',
    'GFPGANModel': 'gfpgan',
    'FFHQDegradationDataset': 'gfpgan',
    'CodeFormer': 'github.com/sczhou/CodeFormer',
    'DAT': 'github.com/zhengchen1999/DAT',
    'HAT': 'github.com/XPixelGroup/HAT',
    'HATModel': 'github.com/XPixelGroup/HAT',
    'NAFNet': 'github.com/megvii-research/NAFNet',
    'Restormer': 'github.com/swz30/Restormer',
    'SAFMN': 'github.com/sunny2109/SAFMN',
}
"""Names of classes in published option files, and the plugin or repository that registers them."""
