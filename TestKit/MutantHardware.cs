// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.TestKit;

/// <summary>A model whose driver-side memory is mutated.</summary>
public sealed class MutantHardware(IIommuModel model, Mutation? mutation) : IIommuHardware
{
    public MutantMemory Mutant { get; } = new(model.ModelMemory, mutation);
    public IPhysicalMemory Memory => Mutant;
    public IRegisterFile Registers => model.Registers;
    public bool IsCoherent => model.IsCoherent;
    public TranslationResult Translate(in DmaAccess access) => model.Translate(access);

    public void Dispose()
    {
        // The model belongs to the scenario.
    }
}
