// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Engine;

/// <summary>Makes spaces as the options say.</summary>
internal sealed class SpaceFactory(
    PasidOptions options,
    IReadOnlyDictionary<string, IPasidAllocatorFactory>? plugins,
    ICoreObserver? observer,
    TimeProvider time) : IPasidSpaceFactory
{
    public PasidRange Range { get; } = new((uint)options.First, (uint)options.Last);

    public OpResult<PasidSpace> CreateConfigured(string name) =>
        Named(name, PasidAllocators.TryCompose(options, plugins, Range, time));

    public OpResult<PasidSpace> CreateWith(string name, IPasidAllocator allocator) =>
        Named(name, PasidAllocators.TryDecorate(allocator, options, time));

    private OpResult<PasidSpace> Named(string name, OpResult<IPasidAllocator> allocator) => allocator.IsOk
        ? OpResult<PasidSpace>.Ok(new PasidSpace(
            name, allocator.Value, other => PasidAllocators.TryDecorate(other, options, time), observer))
        : OpResult<PasidSpace>.Refuse(allocator.Errno, $"space {name}: {allocator.Reason}");
}
