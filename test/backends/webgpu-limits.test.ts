import { describe, expect, it } from 'vitest';
import { dawnFlags } from '../../src/backends/webgpu/dawn-flags.ts';
import { lackOf } from '../../src/backends/webgpu/load.ts';
import { noGpuHint } from '../../src/backends/webgpu/no-gpu-hint-io.ts';

it('a GPU that has less than the kernels need is not used', () => {
  expect(lackOf({ maxStorageBuffersPerShaderStage: 8 })).toBe(
    'the GPU binds 8 buffers to a shader, the kernels need 10',
  );
  expect(lackOf({ maxComputeWorkgroupStorageSize: 8192 })).toBe(
    'a group of the GPU has 8192 bytes of memory, the kernels need 16384',
  );
  expect(lackOf({ maxComputeInvocationsPerWorkgroup: 128 })).toBe(
    'a group of the GPU has 128 threads, the kernels need 256',
  );
  const enough = { maxComputeWorkgroupStorageSize: 16384, maxComputeInvocationsPerWorkgroup: 256 };
  expect(lackOf({ maxStorageBuffersPerShaderStage: 10, ...enough })).toBeNull();
  expect(lackOf({})).toBeNull();
});

it('flags of Dawn come from a variable, and times are exact', () => {
  expect(dawnFlags({})).toEqual(['disable-dawn-features=timestamp_quantization']);
  expect(dawnFlags({ BNN_DAWN_FLAGS: 'adapter=NVIDIA H100 PCIe; enable-dawn-features=dump_shaders' })).toEqual([
    'adapter=NVIDIA H100 PCIe',
    'enable-dawn-features=dump_shaders',
    'disable-dawn-features=timestamp_quantization',
  ]);
  expect(dawnFlags({ BNN_DAWN_FLAGS: 'disable-dawn-features=robustness' })).toEqual([
    'disable-dawn-features=robustness,timestamp_quantization',
  ]);
  expect(dawnFlags({ BNN_TENSOR_CORES: '1' })).toEqual([
    'disable-dawn-features=timestamp_quantization',
    'enable-dawn-features=allow_unsafe_apis,vulkan_enable_f16_on_nvidia',
  ]);
  expect(dawnFlags({ BNN_TENSOR_CORES: '1', BNN_DAWN_FLAGS: 'enable-dawn-features=dump_shaders' })).toEqual([
    'enable-dawn-features=dump_shaders,allow_unsafe_apis,vulkan_enable_f16_on_nvidia',
    'disable-dawn-features=timestamp_quantization',
  ]);
  expect(dawnFlags({ BNN_TENSOR_CORES: '0' })).toEqual(dawnFlags({}));
});

describe('where no GPU is found', () => {
  const hint = (paths: string[], env: Record<string, string> = {}, platform = 'linux') =>
    noGpuHint({ platform, env, exists: (path) => paths.includes(path) });
  const LOADER = '/usr/lib/x86_64-linux-gnu/libvulkan.so.1';
  const NVIDIA = '/dev/nvidiactl';

  it('what is missing is named', () => {
    expect(hint([])).toContain('libvulkan1');
    expect(hint([LOADER])).toMatch(/mesa-vulkan-drivers; NVIDIA: libnvidia-gl.*vulkaninfo --summary.*native/);
    const server = hint([LOADER, NVIDIA], { NVIDIA_DRIVER_CAPABILITIES: 'compute,utility' });
    expect(server).toMatch(/libnvidia-gl .*NVIDIA_DRIVER_CAPABILITIES=all \(it is compute,utility\)/);
    expect(server).toMatch(/libXext.*VK_DRIVER_FILES=/);
  });

  it('what is there is not', () => {
    const parts = ['/usr/lib64/libGLX_nvidia.so.0', '/usr/lib64/libXext.so.6', '/etc/vulkan/icd.d/nvidia_icd.json'];
    expect(hint([LOADER, NVIDIA, ...parts])).toMatch(/^the Vulkan driver of NVIDIA is there but does not start/);
    expect(hint(['/opt/lib/libvulkan.so.1'], { LD_LIBRARY_PATH: '/opt/lib' })).not.toContain('libvulkan1');
    expect(hint([LOADER], { VK_DRIVER_FILES: '/none.json' })).toContain('names /none.json, which is not there');
    expect(hint([], {}, 'darwin')).not.toContain('ulkan');
  });
});
