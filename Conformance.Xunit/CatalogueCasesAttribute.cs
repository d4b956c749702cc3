// SPDX-License-Identifier: Apache-2.0
using System.Reflection;
using Xunit;
using Xunit.Sdk;
using Xunit.v3;

namespace PasidFramework.Conformance.Xunit;

/// <summary>
/// The rows of <see cref="DriverConformance.Conforms"/>: every case of the catalogue on every back end of the class
/// that is run. A member of a base class could not know which class that is.
/// </summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class CatalogueCasesAttribute : DataAttribute
{
    public override bool SupportsDiscoveryEnumeration() => true;

    /// <exception cref="InvalidOperationException">The test class cannot be made.</exception>
    public override ValueTask<IReadOnlyCollection<ITheoryDataRow>> GetData(MethodInfo testMethod,
        DisposalTracker disposalTracker)
    {
        ArgumentNullException.ThrowIfNull(testMethod);
        Type type = testMethod.ReflectedType!;
        if (type.GetConstructor(Type.EmptyTypes) is not { } constructor)
        {
            throw new InvalidOperationException(
                $"{type} needs a public constructor without parameters: what is to be run is asked before there are "
                    + $"fixtures.");
        }

        var suite = (DriverConformance)constructor.Invoke(BindingFlags.DoNotWrapExceptions, null, null, null);
        return new([.. suite.Rows().Select(row => new TheoryDataRow<string, string>(row.Case.Id, row.Hardware)
        {
            TestDisplayName = $"{row.Case.Id} {row.Hardware} [{row.Case.Level}] {row.Case.Clause} {row.Case.Summary}",
            Label = string.Empty,
        })]);
    }
}
