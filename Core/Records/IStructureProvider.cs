// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.Records;

/// <summary>
/// The structures that a plug-in knows, for people with a dump in front of them; export it with
/// <see cref="StructureProviderAttribute"/>.
/// </summary>
public interface IStructureProvider
{
    /// <summary>Every structure, with ids that begin with the format's name and a slash.</summary>
    IReadOnlyList<Layout> Layouts { get; }
}
