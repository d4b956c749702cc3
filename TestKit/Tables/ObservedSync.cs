// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.TestKit.Tables;

/// <summary>Writes synchronisations down among the stores; fails on demand.</summary>
public sealed class ObservedSync(ObservedMemory memory) : IPasidTableSync
{
    /// <summary>Which call is refused, counted from 1; 0: none.</summary>
    public int FailCall { get; set; }

    public int Calls { get; private set; }

    public OpResult ConfigurationChanged(Pasid pasid, bool leafOnly)
    {
        memory.Note(leafOnly ? StepKind.Configuration : StepKind.Path, pasid.Value);
        return Answer();
    }

    public OpResult TranslationsChanged(Pasid pasid, uint archId)
    {
        memory.Note(StepKind.Translations, pasid.Value, archId);
        return Answer();
    }

    private OpResult Answer() =>
        ++Calls == FailCall ? OpResult.Refuse(Errno.ETIMEDOUT, $"call {Calls} is refused") : OpResult.Ok;
}
